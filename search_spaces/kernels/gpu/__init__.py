"""The fast paths on a GPU, in Triton; nothing here is imported before a feature map lies on one."""
