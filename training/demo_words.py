"""The words of the demo catalogue's names: ordinary ones, and people and places built from syllables."""

from __future__ import annotations

from itertools import product

Words = tuple[str, ...]


def _words(text: str) -> Words:
    return tuple(text.split())


def _phrases(text: str) -> Words:
    return tuple(text.split(";"))


def _join(*tables: Words) -> Words:
    """Return every concatenation of one word of each table, once."""
    return tuple(dict.fromkeys("".join(parts) for parts in product(*tables)))


# Titles draw the front of a table most often, so the words that songs are really called come first.
NOUNS = _words("""
    Home Heaven Love Fire Rain Heart Dream Time Light Night River Summer Shadow Moon Ghost Water Angel Star Gold Sun
    Road Ocean Sky Winter Storm Silence Paradise Memory Mirror Garden Wave Stone Train Mountain Flower Island Wind
    Morning Midnight Sunday Window Diamond Thunder Dust Echo Horizon Harbour Lantern Letter Machine Circle Bridge
    City Country Honey Smoke Snow Salt Silver Velvet Feather Wolf Raven Swallow Tiger Horse Whale Spider Moth
    Orchard Meadow Valley Desert Canyon Forest Willow Cedar Ivy Thorn Clover Poppy Lemon Cherry Peach Cinnamon
    Candle Ember Ash Spark Flame Furnace Engine Wheel Anchor Sail Compass Map Key Door Ladder Tower Castle Kitchen
    Ceiling Hallway Balcony Basement Carousel Circus Theatre Piano Violin Drum Choir Hymn Ballad Chorus Rhythm
    Melody Whisper Murmur Scream Laughter Promise Secret Rumour Stranger Lover Brother Sister Mother Father Child
    Soldier Sailor Gambler Dancer Painter Preacher Thief King Queen Jester Pilgrim Prisoner Orphan Widow Gravity
    Orbit Comet Satellite Signal Static Wire Radio Telephone Camera Photograph Postcard Newspaper Calendar Clock
    Hourglass Minute Season April August October December Twilight Daybreak Noon Eclipse Aurora Cloud Fog Frost
    Glacier Lightning Monsoon Puddle Tide Lagoon Shore Pebble Coral Pearl Copper Iron Mercury Marble Glass Paper
    Leather Linen Silk Ribbon Button Needle Thread Carpet Curtain Pillow Blanket Suitcase Ticket Passport Border
    Highway Alley Corner Station Airport Platform Motel Diner Jukebox Neon Arcade Parade Carnival Fountain Statue
    Museum Library Chapter Riddle Alphabet Number Zero Question Answer Reason Treason Mercy Glory Fever Hunger
    Thirst Poison Medicine Sugar Coffee Whiskey Bread Butter Apple Orange Plum Violet Scarlet Indigo Amber Ivory
    Crystal Prism Rainbow Bubble Balloon Kite Swing Bicycle Tractor Wagon Caravan Harvest Barn Fence Scarecrow
    Sparrow Heron Falcon Owl Pigeon Peacock Butterfly Firefly Cricket Beetle Snake Lizard Turtle Salmon Otter Fox
    Badger Deer Bear Elephant Camel Zebra Giant Dragon Phoenix Siren Oracle Prophet Saint Sinner Devil Halo
    Altar Temple Ritual Karma Fortune Jackpot Roulette Joker Ace Trophy Champion Rebel Outlaw Sheriff Hero Villain
    Mask Costume Lipstick Perfume Necklace Bracelet Crown Throne Empire Kingdom Frontier Colony Ruin Relic Fossil
    Skeleton Bone Blood Skin Shoulder Finger Eyelash Freckle Scar Bruise Pulse Breath Voice Nerve Instinct Illusion
    Mirage Vision Fantasy Miracle Disaster Accident Emergency Alibi Evidence Verdict Sentence Freedom Justice
    Anthem Banner Trumpet Cannon Arrow Dagger Armour Shield Sword Hammer Anvil Chisel Bucket Shovel Pocket Quarter
""")
ADJECTIVES = _words("""
    Blue Wild Golden Broken Little Lonely Sweet Black White Red Last First Dark Bright Lost New Old Beautiful Crazy
    Cold Silent Electric Endless Perfect Holy Hollow Crimson Faded Frozen Gentle Heavy Hidden Hungry Idle Invisible
    Jealous Kind Lazy Living Long Lucid Magic Midnight Modern Naked Narrow Neon Northern Only Open Pale Paper
    Patient Plastic Private Proud Quiet Radiant Rapid Restless Rusty Sacred Savage Scarlet Second Secret Severed
    Shallow Silver Simple Sleeping Slow Small Solid Southern Spare Stolen Strange Sudden Sunken Tender Thin Tired
    Tropical Twisted Unknown Upside Velvet Violent Wandering Warm Wasted Western Wicked Winter Wooden Wounded Yellow
    Young Ancient Backward Borrowed Careful Clever Common Crooked Dancing Distant Dizzy Double Dusty Early Easy
    Eastern Empty Familiar Fearless Fickle Final Fragile Friendly Giant Glass Grey Happy Honest Humble Immortal
    Infinite Inner Lunar Mellow Misty Mortal Nameless Nervous Noble Nocturnal Ordinary Outer Painted Phantom Polar
    Precious Reckless Royal Rugged Scattered Seven Shy Solar Sober Spinning Steady Stubborn Summer Tangled Thirsty
    Thousand Tiny Tragic Trembling Ugly Useless Vacant Vivid Weightless Whole Worn Wrong
""")
VERBS = _words("""
    Hold Love Need Take Call Find Leave Follow Save Remember Forget Miss Want Believe Chase Carry Break Watch Catch
    Keep Bring Burn Change Choose Comfort Convince Cover Cross Cure Deceive Defend Drown Echo Escape Feed Fool
    Forgive Free Guide Haunt Hear Heal Hide Hurt Ignore Invent Kiss Know Lose Meet Move Name Paint Pardon Promise
    Pull Push Reach Release Rescue Ruin Search Serve Shake Show Spare Steal Stop Surprise Teach Tell Thank Touch
    Trace Trust Wake Warn Write
""")
MOODS = _words("""
    Stay Forever Tonight Intro Alone Tomorrow Away Alive Higher Breathe Falling Closer Goodbye Hello Yesterday Always
    Sometimes Never Someday Everything Nothing Nobody Somebody Runaway Without Maybe Whatever Enough Again Forward
    Below Beyond Between Outside Inside Underneath Nowhere Anywhere Elsewhere Overboard Undone Untitled Unspoken
    Halfway Sideways Downhill Upstream Overnight Interlude Outro Prelude Reprise Awake Asleep Awhile Afterglow
""")
WHOM = _phrases("Me;You;It All;Us;Myself;The Night;The World;My Name;Them Now;The Rain;My Heart;Everyone;The Sun")
TAILS = _phrases("Tonight;Again;Now;Slowly;Forever;Home;Anyway;Once More;If You Can;Before Dawn;Like That;for Free")
CLAUSES = _phrases(
    "I Will;Don't;Never;I Can't;You Could;We Should;Let Me;Why Do You;How to;Nobody Can;When You;They Always"
)
DETERMINERS = _phrases("The;My;Your;Our;No;One More;Another;This;Every;Too Much;Hardly Any;Some Kind of")
LINKS = _phrases("of the;in the;and the;for the;without;under the;to the;like;on the;after the;before the;from")
PLACES = _join(
    _words("""Vel Tor Mar Quin Bel Cas Dor Esk Fen Gal Hesk Ist Jor Kel Lor Myr Nar Osk Pel Ril Sel Tam Ul Vesk Wen
        Yar Zan Dru Cyr Othe"""),
    _words("mora vista dale haven mouth ona ira estra wick holm gate ford bury elle ario anza borne mere stow crest"),
)
FIRST_NAMES = _join(
    _words("""Vel Tam Quo Bri Ors Fenn Jor Kes Lio Mer Nad Oth Pav Ril Sev Tiv Ul Var Wil Xan Yor Zel Ald Bex Cor
        Dav Eck Far Gwe Hes Ina Jun Kol Lav Mod Nil Odr Per Ris Sul"""),
    _words("ina ello ara is enne an ette or iel ova ander elin us etta ius ola ward wen ita ema oric yn esto amir"),
)
SURNAMES = _join(
    _words("""Thorn Ash Mar Quill Barrow Hazel Linden Copper Winter Fallow Stone Bracken Crow Dray Ember Frost Gorse
        Harrow Ink Juniper Kettle Lark Moss Nettle Oat Pine Rook Salt Tarn Under Vetch Wether Yarrow Alder Birch
        Cinder Dusk Elder Flint Grave Hollow Ivor Jasper Kestrel Loam Mallow North Otter Pellow Rush"""),
    _words("""wick marrow sand by holt more gate worthy field stone lock rigg dale bane mere croft ling stead ward
        beck thwaite combe den fell garth hurst kin lough pole quist row shaw tree well"""),
)
HEADS = _words("""Quo Vel Tam Bru Cyn Dra Eno Fyx Gla Hyl Ixo Jum Kro Lun Myr Nox Oly Pry Qui Rho Syl Tro Umb Vyr
    Wex Xyl Yth Zor Alq Bly""")
MIDDLES = _words("ve no ri la du mi ka zo pe tha su ly go ba ne xi fo ju ra te")
ENDS = _words("nda rix lune sk mond vash dell quor lith phon bane zel tara wyn drum ska nix gale tross um ")
TRADES = _words("""Lantern Kettle Compass Ladder Teacup Walnut Orchard Furnace Pigeon Trombone Cardboard Hinge Pantry
    Saddle Trellis Anchor Biscuit Tadpole Gazebo Marmalade Radiator Sundial Thimble Umbrella Viaduct Windmill Hatstand
    Turnip Lighthouse Bungalow Cabinet Drawbridge Envelope Ferry Gondola Haystack Icebox Kiosk Lobster Mailbox""")
BANDS = _words("""Parliament Postmen Astronomers Cartographers Plumbers Union Weather Committee Botanists Gardeners
    Clerks Tailors Divers Society Assembly Sleepers Janitors Pilots Librarians Mechanics Apprentices Neighbours
    Navigators Opticians Beekeepers Ushers Understudies Locksmiths Carpenters Typists Falconers Glaziers Lamplighters
    Surveyors Tenants Archivists Umpires Ferrymen Chandlers Weavers""")
ENSEMBLES = _phrases(
    "Trio;Quartet;Quintet;Ensemble;Chamber Players;Collective;Sound System;Big Band;Brass Band;String Band;Choir;"
    "Sisters;Brothers;Family;Project;Experiment"
)

# Names with accents and in other scripts, and what such acts sing.
ACCENTED_FIRST = _join(
    _words("Sø Æl É Zá Lü Ñu Çe Jó Ká Mö Rú Tå"), _words("rena lio mir vène nka dès stín gar ría líe")
)
ACCENTED_LAST = _join(
    _words("Brå Vél Kør Dvö Pěš Łan Nuñ Gonç Tür Råd Häl Šíp"), _words("mark évan zik ale ström ová ez güe sund dór")
)
CYRILLIC = _join(
    _words("Ве Ло Ри Та Зо Ма Ду Са Ки Не"), _words("ри ла мо те ску ве до на зи ро"), _words("на та я ль ва")
)
GREEK = _join(_words("Λυ Μα Νε Ορ Πη Ρο Σι Θα Κα Δω"), _words("ρα νε λο τι με κα σο δι ξα φι"), _words("ς να ρα δη μη"))
KANA = _join(
    _words("ミラ ノゾ ユメ ソラ ハル カゼ トワ レイ アオ ヒビ"),
    _words("ノ カ リ モ ト ネ サ ロ"),
    _words("ミネ ツキ ハナ ナギ ウミ ヨル マチ ユキ"),
)
HANGUL = _join(
    _words("가온 나루 다솔 라미 마루 바람 새별 아라 자온 하늘"),
    _words("마을 숲길 노을 물결 등대 정원 바다 언덕 골목 달빛"),
)

ES = _words("""Corazón Canción Lluvia Camino Jardín Adiós Balcón Estación Invierno Ilusión Corazones Sueños Montaña
    Mañana Niña Limón Pájaro Océano Árbol Esquina Ciudad Ventana Luna Sombra Verano Espejo""")
ES_OF = _words("""Papel Azúcar Ceniza Cristal Algodón Sal Carbón Otoño Plata Jazmín Miel Arena Café Nácar Cartón
    Limón Domingo Verano Agua Hierro""")
PT = _words(
    "Coração Canção Manhã Estação Ilusão Violão Verão Paixão Multidão Irmão Avião Balão Saudade Janela Maré Avó"
)
PT_OF = _words("Algodão Areia Papel Verão Limão Feijão Sábado Sol Cetim Açúcar Chá Pedra Luar Julho")
RU = _words("Ночь Река Осень Зима Весна Дорога Звезда Луна Песня Птица Тень Вода Улица Волна Комната Лодка")
RU_WHAT = _words("Белая Тихая Долгая Старая Новая Тёплая Моя Синяя Последняя Лёгкая Пустая Ночная")
EL = _words("Νύχτα Θάλασσα Βροχή Πόλη Φωνή Καρδιά Αυγή Σκιά Χώρα Άνοιξη Σελήνη Φωτιά")
EL_WHAT = _words("Μεγάλη Λευκή Παλιά Κρυφή Μικρή Γαλάζια Ήσυχη Άδεια Ζεστή Πρώτη")
JA = _words("夜 雨 光 海 月 空 夢 風 花 星 影 窓 駅 手紙 砂 鏡 朝 冬")
KO = _words("밤 별 비 바람 꿈 바다 길 봄 편지 노래 그림자 창문 겨울 새벽 섬 눈")
KO_OF = _words("마지막 푸른 작은 낯선 먼 조용한 우리의 나의 첫 오래된 하얀 깊은")
FORMS = _words("""Nocturne Prelude Étude Waltz Mazurka Sonata Sonatina Ballade Impromptu Scherzo Rondo Fantasia Fugue
    Toccata Suite Serenade Divertimento Partita Intermezzo Romance Rhapsody Berceuse Barcarolle Elegy""")
MOVEMENTS = _phrases(
    "Allegro;Andante;Adagio;Largo;Presto;Vivace;Moderato;Allegretto;Lento;Menuetto;Finale;Andante con moto;"
    "Allegro ma non troppo;Adagio cantabile;Poco adagio;Molto vivace"
)
NUMBERS = tuple(str(n) for n in range(1, 41))
OPUS = tuple(str(n) for n in range(1, 131))
ROMAN = _words("I II III IV V")
