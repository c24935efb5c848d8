"""From a protection to silicon: weight memories in SystemVerilog, simulated against the library, and their area."""

from fkeras.rtl.area import Area, rtl_area
from fkeras.rtl.check import RtlCheck, rtl_check
from fkeras.rtl.folder import WeightMemory, read_folder, weight_memory

__all__ = ["Area", "RtlCheck", "WeightMemory", "read_folder", "rtl_area", "rtl_check", "weight_memory"]
