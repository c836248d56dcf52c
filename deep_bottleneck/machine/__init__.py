"""The machine below: its devices, threads, processes, disks and environment."""
