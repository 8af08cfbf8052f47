"""More than one machine, or more than one process: a thin layer over Ray. Needs the extra
``cluster``.

`connected` finds or starts a cluster, `map_on_cluster` sends a stream of items through workers in
order, `call_each` spreads a few long calls. Nothing here knows what is worked on.
"""

from lucidray.cluster.calls import call_each
from lucidray.cluster.session import LOCAL, connected, processors
from lucidray.cluster.stream import map_on_cluster

__all__ = ["LOCAL", "call_each", "connected", "map_on_cluster", "processors"]
