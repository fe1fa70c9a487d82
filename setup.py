"""Builds the native kernels, where there is a compiler; without one the install succeeds and the plain operators are used."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "search_spaces.kernels.native",
            ["search_spaces/kernels/source/kernels.cpp"],
            depends=[
                f"search_spaces/kernels/source/{name}.h"
                for name in ("common", "register", "pix", "pix_backward", "moves", "kronecker", "multiplex", "winograd")
            ],
            extra_compile_args=[
                "-O3",
                "-std=c++17",
                "-fvisibility=hidden",
                "-fno-math-errno",
                "-fno-trapping-math",
                "-fno-signed-zeros",
                "-fopenmp-simd",
                "-Wno-psabi",
            ],
            language="c++",
            optional=True,
        )
    ]
)
