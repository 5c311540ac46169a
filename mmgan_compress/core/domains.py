"""One config for all domains, or one for each."""

from collections.abc import Mapping, Sequence
from typing import Any


def are_names(value: Any) -> bool:
    """Tell whether a value is a list of texts, as names of domains are."""
    return isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value)


def per_domain(config: Mapping, domains: Sequence[str]) -> dict[str, Mapping]:
    """Give each domain the config of its generator.

    Args:
        config (dict): A config, which has a ``type``, or ``{domain: config}``
            for directions that differ.
        domains (Sequence[str]): Domains that are generated.

    Returns:
        dict[str, dict]: Config by domain, in their order.

    Raises:
        ValueError: If it names other domains.
    """
    if 'type' in config:
        return {domain: config for domain in domains}
    if set(config) != set(domains):
        raise ValueError(
            f'generator has the keys {sorted(config)}: expected a config '
            f'with a "type", or one for each of {sorted(domains)}'
        )
    return {domain: config[domain] for domain in domains}
