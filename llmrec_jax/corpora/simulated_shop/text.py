"""Titles, descriptions and categories of the items, in words."""

import numpy as np

from llmrec_jax.corpora.corpus import Items
from llmrec_jax.corpora.simulated_shop import words
from llmrec_jax.corpora.simulated_shop.catalogue import ShopCatalogue

_TITLES = (
    '{brand} {series} {style} {product}, {colour}',
    '{brand} {series} {style} {material} {product} in {colour}',
    '{brand} {style} {product} "{series}", {material}, {colour}',
    '{style} {material} {product} by {brand}, {series} Series, {colour}',
    '{brand} {series} {product}, {style} {material}, {colour}',
)

_OPENINGS = (
    'The {series} by {brand} is {style_a} {product_lower} in {material}, finished in {colour}.',
    '{brand} makes this {style_lower} {product_lower} from {material} and offers it in {colour}.',
    'Meet the {series}: {style_a} {product_lower} with the {material} feel of {brand}, in {colour}.',
    'A {product_lower} for people who like things {style_lower}: {material}, {colour}, from {brand}.',
)

_DETAILS = (
    'It has {feature} and was made for {use}.',
    'With {feature}, it is a good companion for {use}.',
    'Look out for {feature}. Ideal for {use}.',
    'Made with {use} in mind, it comes with {feature}.',
)


def product_name(catalogue: ShopCatalogue, leaf: int) -> str:
    """What a leaf sells, e.g. 'Kettle' or, in a range, 'Travel Kettle'."""
    size = catalogue.size
    within_section = leaf % (size.products * size.ranges)
    product, product_range = divmod(within_section, size.ranges)
    department, section = divmod(int(catalogue.section_of_leaf[leaf]), size.sections)
    name = list(words.DEPARTMENTS[department].sections.values())[section][product]
    return f'{words.RANGES[product_range - 1]} {name}' if product_range else name


def category_path(catalogue: ShopCatalogue, leaf: int) -> tuple[str, str, str]:
    """Department, section and leaf, in words."""
    department, section = divmod(int(catalogue.section_of_leaf[leaf]), catalogue.size.sections)
    names = words.DEPARTMENTS[department]
    return names.name, list(names.sections)[section], words.plural(product_name(catalogue, leaf))


def describe(catalogue: ShopCatalogue, rng: np.random.Generator) -> Items:
    """The catalogue as the corpus shows it: in words, under its shuffled indices."""
    count = len(catalogue)
    leaves = range(catalogue.size.leaves)
    products = [product_name(catalogue, leaf) for leaf in leaves]
    paths = [category_path(catalogue, leaf) for leaf in leaves]
    departments = words.DEPARTMENTS
    serial = rng.choice(10 * count, size=count, replace=False)
    columns = zip(
        catalogue.leaf.tolist(),
        catalogue.department.tolist(),
        catalogue.brand.tolist(),
        catalogue.style.tolist(),
        catalogue.material.tolist(),
        catalogue.colour.tolist(),
        catalogue.feature.tolist(),
        rng.integers(len(words.SERIES), size=count).tolist(),
        rng.integers(len(departments[0].uses), size=count).tolist(),
        rng.integers(len(_TITLES), size=count).tolist(),
        rng.integers(len(_OPENINGS), size=count).tolist(),
        rng.integers(len(_DETAILS), size=count).tolist(),
    )
    titles, brands, categories, descriptions = [], [], [], []
    for leaf, dept, brand, style, material, colour, feature, series, use, title, opening, detail in columns:
        department, style_name = departments[dept], words.STYLES[style]
        facts = {
            'brand': catalogue.brand_name[brand],
            'series': words.SERIES[series],
            'style': style_name,
            'material': department.materials[material],
            'colour': words.COLOURS[colour],
            'product': products[leaf],
        }
        titles.append(_TITLES[title].format_map(facts))
        facts |= {
            'style_lower': style_name.lower(),
            'style_a': f'{"an" if style_name[0] in "AEIOU" else "a"} {style_name.lower()}',
            'product_lower': products[leaf].lower(),
            'material': facts['material'].lower(),
            'colour': facts['colour'].lower(),
            'feature': department.features[feature],
            'use': department.uses[use],
        }
        descriptions.append(f'{_OPENINGS[opening]} {_DETAILS[detail]}'.format_map(facts))
        brands.append(facts['brand'])
        categories.append(paths[leaf])

    position_of_item = np.argsort(catalogue.item_of_position).tolist()
    return Items(
        item_id=[f'B{number:08d}' for number in serial.tolist()],
        title=[titles[position] for position in position_of_item],
        brand=[brands[position] for position in position_of_item],
        categories=[categories[position] for position in position_of_item],
        description=[descriptions[position] for position in position_of_item],
        price=catalogue.price[position_of_item],
    )
