namespace Dbt.Perf;

/// <summary>A kernel in C.</summary>
/// <param name="Set">The file in perf/Native that has it.</param>
/// <param name="Name">What tables call it.</param>
/// <param name="Function">The function's name.</param>
/// <param name="Options">The compiler's, beyond those of all.</param>
internal sealed record NativeKernel(string Set, string Name, string Function, string Options)
{
    private const string Sse = "-msse2 -mfpmath=sse -DREAL=double", X87 = "-mfpmath=387 -DREAL=\"long double\"";
    private const string Integer = "integer.c", Floating = "kernels.c";

    /// <summary>All of them.</summary>
    public static IReadOnlyList<NativeKernel> All { get; } =
    [
        new(Integer, "sums, data-dependent", "sum", ""),
        new(Integer, "copy of words", "copy", ""),
        new(Integer, "CRC-32, table", "crc32", ""),
        new(Integer, "pointer chase", "chase", ""),
        new(Integer, "quicksort", "sort", ""),
        new(Integer, "sieve", "sieve", ""),
        new(Integer, "matrix product", "matrix", ""),
        new(Integer, "SHA-256 rounds", "digest", ""),
        new(Integer, "recursive calls", "recursion", ""),
        new(Integer, "jump-table machine", "machine", ""),
        new(Integer, "byte strings", "strings", ""),
        new(Integer, "calls by table, division", "calls", ""),
        new(Floating, "daxpy, SSE2 scalar", "daxpy", Sse + " -fno-tree-vectorize"),
        new(Floating, "daxpy, SSE2 packed", "daxpy", Sse + " -O3 -ftree-vectorize"),
        new(Floating, "saxpy, SSE packed", "saxpy", Sse),
        new(Floating, "Mandelbrot, SSE2", "mandelbrot", Sse),
        new(Floating, "Mandelbrot, x87", "mandelbrot", X87 + " -msse2"),
        new(Floating, "dot product, x87", "dot", X87 + " -msse2"),
        new(Floating, "AES rounds", "aes", Sse + " -maes"),
        new(Floating, "byte search, SSE2", "count", Sse),
        new(Floating, "big numbers, MMX", "bignum", Sse),
    ];
}
