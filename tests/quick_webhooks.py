"""The process that delivers webhooks as it is, but in a hurry, for tests that wait for tries, leases and breakers.

`python -m tests.quick_webhooks`, with the settings of `python -m worker webhooks`.
"""

from __future__ import annotations

import sys

from producer import keys, webhooks
from worker import __main__ as worker_main
from worker import posting

SINGLE_S = (0, 0.2, 0.2, 0.2)
REGISTERED_S = (0, 0.2, 0.2, 0.2, 0.2)
TRY_S = 2.0

if __name__ == "__main__":
    vars(webhooks).update(SINGLE_S=SINGLE_S, REGISTERED_S=REGISTERED_S)
    vars(keys).update(WEBHOOK_LEASE_S=3, WEBHOOK_BREAKER_S=1, WEBHOOK_BREAKER_MOST_S=2)
    vars(posting).update(TRY_S=TRY_S, CONNECT_S=1.0)
    sys.exit(worker_main.main(["webhooks"]))
