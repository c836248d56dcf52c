from stored_experiments import loader, place, places

__all__ = ["loader", "place", "places"]
