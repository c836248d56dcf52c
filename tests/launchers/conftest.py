from real_schedulers import node, place, scheduler, turn

__all__ = ["node", "place", "scheduler", "turn"]
