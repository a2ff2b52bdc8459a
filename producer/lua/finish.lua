-- Ends one job: canceled, past its deadline, or worked off by RQ's own loop. given: as for finish, or for again where
-- `retry` is set.
return (given.retry and again or finish)(given)
