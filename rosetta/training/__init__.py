"""The loop: the only place that knows Lightning Fabric."""
