"""Fast paths behind the plain operators: native CPU kernels, taken at run time where they can stand in."""
