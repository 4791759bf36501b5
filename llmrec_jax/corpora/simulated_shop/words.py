"""The shop's vocabulary: departments with their sections and products, and the words that name attributes.

Every product is a singular noun with a regular plural, so that sentences can be put together without a
grammar.
"""

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Department:
    """One department of the shop.

    Attributes:
      name: as printed in an item's categories.
      sections: from a section's name to the products (leaf types) it sells.
      materials: what its products are made of, as an adjective before the product's name.
      features: what its products may have, as a noun phrase after 'with'.
      uses: what its products are for, as a phrase after 'for'.
    """

    name: str
    sections: Mapping[str, tuple[str, ...]]
    materials: tuple[str, ...]
    features: tuple[str, ...]
    uses: tuple[str, ...]


def _split(words: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in words.split(','))


def _department(
    name: str, sections: Mapping[str, str], materials: str, features: str, uses: str
) -> Department:
    products = {section: _split(names) for section, names in sections.items()}
    return Department(name, products, _split(materials), _split(features), _split(uses))


DEPARTMENTS = (
    _department(
        'Kitchen',
        {
            'Cookware': 'Frying Pan, Saucepan, Stock Pot, Wok, Roasting Tin, Griddle',
            'Coffee & Tea': 'French Press, Teapot, Coffee Grinder, Espresso Maker, Kettle, Travel Mug',
            'Baking': 'Mixing Bowl, Rolling Pin, Cake Tin, Muffin Tray, Cooling Rack, Piping Set',
            'Tableware': 'Dinner Plate, Soup Bowl, Serving Platter, Water Jug, Wine Glass, Salad Bowl',
        },
        'Cast Iron, Stainless Steel, Stoneware, Copper, Enamel, Borosilicate',
        'a stay-cool handle, a drip-free spout, a non-stick coating, measuring marks, a snug lid, a heavy '
        'base, a dishwasher-safe finish, a folding handle',
        'busy weeknights, slow Sunday cooking, small kitchens, feeding a crowd, an induction hob',
    ),
    _department(
        'Outdoors',
        {
            'Camping': 'Tent, Sleeping Bag, Camp Stove, Camp Chair, Lantern, Cooler Box',
            'Hiking': 'Daypack, Trekking Pole, Water Bottle, Compass, Rain Poncho, Trail Gaiter',
            'Cycling': 'Bike Helmet, Bike Pump, Saddle Bag, Bike Light, Cycling Glove, Bike Lock',
            'Fishing': 'Fishing Rod, Fishing Reel, Tackle Bag, Landing Net, Bait Bucket, Wading Jacket',
        },
        'Ripstop, Aluminium, Carbon, Canvas, Recycled Nylon, Titanium',
        'sealed seams, a quick-release buckle, reflective piping, a carry loop, a repair kit, padded straps, '
        'a wind guard, a storage sleeve',
        'weekend trips, wet weather, long days out, travelling light, the first frosty nights',
    ),
    _department(
        'Music',
        {
            'Guitars': 'Acoustic Guitar, Electric Guitar, Ukulele, Guitar Strap, Capo, Guitar Stand',
            'Keyboards': 'Digital Piano, Synthesizer, Keyboard Stand, Sustain Pedal, Piano Stool, Keyboard '
            'Cover',
            'Percussion': 'Snare Drum, Cajon, Cymbal, Drum Pad, Drum Stool, Tambourine',
            'Recording': 'Condenser Microphone, Audio Interface, Pop Filter, Microphone Stand, Mixer, '
            'Headphone Amp',
        },
        'Spruce, Mahogany, Maple, Rosewood, Brass, Ebony',
        'a padded case, a low-noise circuit, rubber feet, gold-plated contacts, a smooth action, '
        'a built-in tuner, a height lock, a spare set of screws',
        'home practice, small stages, late-night sessions, first lessons, studio work',
    ),
    _department(
        'Garden',
        {
            'Hand Tools': 'Trowel, Garden Fork, Pruner, Hand Rake, Dibber, Weeding Hoe',
            'Planting': 'Flower Pot, Seed Tray, Hanging Basket, Raised Bed, Window Box, Plant Stand',
            'Watering': 'Watering Can, Garden Hose, Lawn Sprinkler, Spray Gun, Rain Barrel, Drip Kit',
            'Outdoor Living': 'Garden Bench, Parasol, Fire Pit, Bird Feeder, Deck Chair, Wind Chime',
        },
        'Cedar, Terracotta, Galvanised, Bamboo, Wrought Iron, Ash',
        'drainage holes, a rust-proof coating, a long reach, a hanging hook, a soft grip, weatherproof '
        'joints, a fine rose, a flat-pack frame',
        'balconies, heavy clay soil, cottage borders, a first vegetable patch, evenings outside',
    ),
    _department(
        'Office',
        {
            'Writing': 'Fountain Pen, Mechanical Pencil, Highlighter, Ink Bottle, Pencil Case, Notebook',
            'Desk': 'Desk Lamp, Monitor Stand, Letter Tray, Desk Mat, Pen Holder, Footrest',
            'Filing': 'Ring Binder, Document Wallet, Filing Box, Label Maker, Stapler, Hole Punch',
            'Computing': 'Wireless Mouse, Mechanical Keyboard, Webcam, Laptop Sleeve, Cable Organiser, '
            'Docking Station',
        },
        'Leather, Cork, Felt, Walnut, Anodised, Linen',
        'a magnetic clasp, a non-slip underside, a refillable core, a cable channel, index tabs, a quiet '
        'click, an elastic band, a tilting head',
        'a home office, exam weeks, hot desks, left-handed writers, tidy minds',
    ),
    _department(
        'Clothing',
        {
            'Knitwear': 'Cardigan, Crew Jumper, Roll-Neck Jumper, Knitted Vest, Poncho, Cable Jumper',
            'Outerwear': 'Parka, Trench Coat, Quilted Jacket, Raincoat, Denim Jacket, Gilet',
            'Accessories': 'Silk Scarf, Belt, Bucket Hat, Beanie, Wool Glove, Tote Bag',
            'Footwear': 'Chelsea Boot, Canvas Trainer, Loafer, Sandal, Running Shoe, Slipper',
        },
        'Merino, Organic Cotton, Suede, Cashmere, Tweed, Corduroy',
        'deep pockets, a brushed lining, horn buttons, a two-way zip, a cushioned insole, ribbed cuffs, '
        'hidden seams, a storm flap',
        'cool mornings, the commute, layering, dressing up, travelling with one bag',
    ),
    _department(
        'Toys',
        {
            'Building': 'Brick Set, Marble Run, Train Track, Model Kit, Magnetic Tile Set, Stacking Tower',
            'Games': 'Strategy Game, Card Game, Dice Game, Jigsaw Puzzle, Trivia Game, Chess Set',
            'Pretend Play': 'Doll House, Toy Kitchen, Doctor Kit, Puppet Theatre, Play Tent, Tool Bench',
            'Soft Toys': 'Teddy Bear, Plush Rabbit, Plush Dinosaur, Comfort Blanket, Hand Puppet, Plush '
            'Whale',
        },
        'Beech, Plush, Cardboard, Birch, Recycled Plastic, Velvet',
        'rounded edges, washable parts, a storage tray, a rule book in four languages, glow-in-the-dark '
        'pieces, extra-large pieces, a carry bag, an instruction comic',
        'rainy afternoons, long car journeys, sharing with siblings, curious toddlers, family evenings',
    ),
    _department(
        'Beauty',
        {
            'Skin Care': 'Day Cream, Night Serum, Face Mask, Cleansing Balm, Eye Gel, Toner',
            'Hair Care': 'Shampoo Bar, Conditioner, Hair Oil, Styling Cream, Scalp Scrub, Curl Mist',
            'Bath & Body': 'Bath Bomb, Hand Soap, Body Lotion, Shower Gel, Body Scrub, Foot Balm',
            'Fragrance': 'Eau de Parfum, Scented Candle, Room Spray, Reed Diffuser, Solid Perfume, Pillow '
            'Mist',
        },
        'Rosehip, Oatmeal, Sea Salt, Lavender, Green Tea, Argan',
        'a pump dispenser, a recyclable jar, a gentle scent, a travel size, a glass dropper, no added '
        'colour, a vegan formula, a bamboo scoop',
        'dry skin, the morning rush, sensitive skin, unwinding, a gift that arrives wrapped',
    ),
    _department(
        'Fitness',
        {
            'Strength': 'Kettlebell, Dumbbell Pair, Weight Bench, Pull-Up Bar, Barbell, Resistance Band',
            'Yoga': 'Yoga Mat, Yoga Block, Yoga Strap, Meditation Cushion, Yoga Towel, Balance Ball',
            'Running': 'Running Vest, Running Cap, Hydration Belt, Arm Pouch, Head Torch, Running Watch',
            'Recovery': 'Foam Roller, Massage Gun, Ice Pack, Heat Pad, Massage Ball, Stretching Board',
        },
        'Neoprene, Natural Rubber, Chrome, Hemp, Silicone, Mesh',
        'a textured grip, a carry strap, sweat-proof fabric, printed exercises, an easy-clean surface, '
        'adjustable straps, a quiet motor, a stable base',
        'short sessions at home, sore legs, marathon training, early starts, absolute beginners',
    ),
    _department(
        'Pets',
        {
            'Dogs': 'Dog Lead, Dog Collar, Dog Bed, Chew Toy, Dog Coat, Travel Bowl',
            'Cats': 'Scratching Post, Cat Tunnel, Litter Tray, Cat Hammock, Feather Wand, Cat Flap',
            'Aquariums': 'Fish Tank, Air Pump, Aquarium Light, Gravel Cleaner, Tank Heater, Filter Unit',
            'Small Animals': 'Rabbit Hutch, Hamster Wheel, Hay Feeder, Hamster Maze, Nesting Box, Play Pen',
        },
        'Sisal, Fleece, Bonded Leather, Rattan, Jute, Acrylic',
        'a removable cover, a safety clip, chew-proof stitching, a clear lid, a quiet pump, easy-clean '
        'corners, a reflective strip, suction feet',
        'nervous animals, muddy walks, small flats, older pets, owners who work late',
    ),
)

STYLES = _split('Classic, Modern, Rustic, Minimalist, Vintage, Sporty, Playful, Elegant')

COLOURS = _split(
    'Midnight Blue, Forest Green, Charcoal, Ivory, Mustard, Terracotta Red, Sky Blue, Blush Pink, Plum, '
    'Sage, Jet Black, Sand'
)

SERIES = _split(
    'Aster, Basalt, Cinder, Delta, Ember, Fjord, Glade, Harbour, Indigo, Juniper, Kestrel, Lumen, Meridian, '
    'Nimbus, Onyx, Pioneer, Quarry, Rowan, Solstice, Tundra, Umber, Vesper, Willow, Zephyr, Alder, Beacon, '
    'Comet, Dune, Echo, Falcon, Grove, Heron, Isle, Jasper, Karst, Linden, Mistral, North, Orchard, Prairie'
)

RANGES = _split(
    'Everyday, Compact, Travel, Professional, Junior, Deluxe, Heavy-Duty, Lightweight, Folding, Portable, '
    'Large, Slim, Starter, Premium, Eco, Family, Mini, Studio, Expedition, Wide, All-Weather, Quiet, Quick,'
    ' Modular, Traditional, Signature, Performance, Weekend, City, Coastal, Alpine, Artisan, Essential, '
    'Advanced, Limited, Reinforced, Extra-Long, Two-Piece, Stackable'
)

BRAND_HEADS = _split(
    'Nor, Hal, Bry, Cal, Dun, El, Fen, Gar, Hol, Ir, Kel, Lan, Mar, Ost, Pem, Quin, Ros, Sel, Tor, Ul, Ver,'
    ' Wen, Yar, Zan, Ash, Bel, Cor, Dor, Ever, Fal, Gren, Hart, Ing, Jor, Kirk, Lor, Mel, Nev, Or, Pel'
)

BRAND_TAILS = _split(
    'wick, den, mont, field, ora, ley, sen, vale, ton, ridge, by, mere, stad, una, berg, holm, ette, lund, '
    'croft, well, ora-Lane, ex, io, anza, ford, gate, haven, ick, iva, kamp, low, nora, quist, rell, shaw, '
    'thorp, usa, via, worth, zell'
)

BRAND_ENDINGS = ('', ' & Sons', ' Works', ' Supply', ' Collective', ' Studio', ' Brothers', ' Goods')


def plural(noun: str) -> str:
    """The plural of a product's name."""
    if noun.endswith(('s', 'sh', 'ch', 'x')):
        return noun + 'es'
    if noun.endswith('y') and noun[-2] not in 'aeiou':
        return noun[:-1] + 'ies'
    return noun + 's'
