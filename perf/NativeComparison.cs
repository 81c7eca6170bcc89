using System.Diagnostics;
using System.Runtime.InteropServices;
using Dbt.Translator;
using Dbt.Translator.State;

namespace Dbt.Perf;

/// <summary>
/// Integer, floating-point and SIMD kernels in C, compiled by the host's gcc for i386 and run natively and on an engine in turn: how many times as
/// long the guest takes. Needs <c>gcc -m32</c>. On a host that runs no 32-bit programs the native run is that of the same source compiled
/// for x86-64, which has twice the registers: the ratios are a little worse than they would be.
/// </summary>
internal static unsafe partial class NativeComparison
{
    private const uint Load = 0x100000, Stack = 0xF00000;
    private const int EntryField = 24;
    private const string Sse = "-msse2 -mfpmath=sse -DREAL=double", X87 = "-mfpmath=387 -DREAL=\"long double\"";

    private const string Integer = "integer.c", Floating = "kernels.c";

    private static readonly (string Set, string Name, string Kernel, string Options)[] Kernels =
    [
        (Integer, "sums, data-dependent", "sum", ""),
        (Integer, "copy of words", "copy", ""),
        (Integer, "CRC-32, table", "crc32", ""),
        (Integer, "pointer chase", "chase", ""),
        (Integer, "quicksort", "sort", ""),
        (Integer, "sieve", "sieve", ""),
        (Integer, "matrix product", "matrix", ""),
        (Integer, "SHA-256 rounds", "digest", ""),
        (Integer, "recursive calls", "recursion", ""),
        (Integer, "jump-table machine", "machine", ""),
        (Integer, "byte strings", "strings", ""),
        (Integer, "calls by table, division", "calls", ""),
        (Floating, "daxpy, SSE2 scalar", "daxpy", Sse + " -fno-tree-vectorize"),
        (Floating, "daxpy, SSE2 packed", "daxpy", Sse + " -O3 -ftree-vectorize"),
        (Floating, "saxpy, SSE packed", "saxpy", Sse),
        (Floating, "Mandelbrot, SSE2", "mandelbrot", Sse),
        (Floating, "Mandelbrot, x87", "mandelbrot", X87 + " -msse2"),
        (Floating, "dot product, x87", "dot", X87 + " -msse2"),
        (Floating, "AES rounds", "aes", Sse + " -maes"),
        (Floating, "byte search, SSE2", "count", Sse),
        (Floating, "big numbers, MMX", "bignum", Sse),
    ];

    /// <summary>Prints a line for each kernel, and a geometric mean for each set of them.</summary>
    /// <param name="kind">The engine.</param>
    /// <param name="rounds">Runs of each, the guest's and the native one in turn; the median counts.</param>
    /// <param name="wanted">Part of a kernel's function or name; null for all.</param>
    public static void Run(EngineKind kind, int rounds, string? wanted)
    {
        string folder = Directory.CreateTempSubdirectory("dbt-perf").FullName;
        var ratios = new Dictionary<string, List<double>>();
        bool wide = !Runs32BitPrograms(folder);
        if (wide)
        {
            Console.WriteLine("This host runs no 32-bit programs; native is the same source compiled for x86-64.");
        }

        Console.WriteLine($"{"kernel",-26} {"native ms",10} {kind + " ms",12} {"ratio",7}  side exits");
        foreach ((string set, string name, string kernel, string options) in Kernels)
        {
            if (wanted is not null && !name.Contains(wanted, StringComparison.OrdinalIgnoreCase) && kernel != wanted)
            {
                continue;
            }

            string program = Path.Combine(folder, "kernel"), image = program + ".bin", host = wide ? program + ".64" : program;
            string source = Path.Combine(AppContext.BaseDirectory, "Native", set);
            Shell(Compile(source, kernel, options, "-m32", program) + $" && objcopy -O binary {program} {image}");
            if (wide)
            {
                Shell(Compile(source, kernel, options, "-m64", host));
            }

            var native = new double[rounds];
            var guest = new double[rounds];
            int code = 0;
            (uint Result, long Exits) answer = default;
            for (int round = 0; round < rounds; round++)
            {
                native[round] = Native(host, out code);
                guest[round] = Guest(kind, image, BitConverter.ToUInt32(File.ReadAllBytes(program), EntryField), out answer);
            }

            bool same = (byte)answer.Result == code;
            double ratio = Median(guest) / Median(native);
            CollectionsMarshal.GetValueRefOrAddDefault(ratios, set, out _) ??= [];
            ratios[set].Add(ratio);
            Console.WriteLine($"{name,-26} {Median(native),10:F0} {Median(guest),12:F0} {ratio,7:F2}  {answer.Exits}{(same ? "" : "  WRONG RESULT")}");
        }

        foreach ((string set, List<double> of) in ratios)
        {
            Console.WriteLine($"geometric mean of {set}: {Math.Exp(of.Average(Math.Log)):F2}");
        }

        Directory.Delete(folder, recursive: true);
    }

    private static string Compile(string source, string kernel, string options, string machine, string output) =>
        $"gcc {machine} -O2 -w -static -nostdlib -ffreestanding -fno-pic -fno-stack-protector -fno-asynchronous-unwind-tables -fno-tree-vectorize "
        + $"{options} -DKERNEL={kernel} -Wl,-Ttext={Load:x},--build-id=none -o {output} {source}";

    private static bool Runs32BitPrograms(string folder)
    {
        string program = Path.Combine(folder, "try");
        Shell($"echo 'void _start(void) {{ __asm__(\"int $0x80\" : : \"a\"(1), \"b\"(0)); }}' | gcc -m32 -static -nostdlib -x c -o {program} -");
        try
        {
            _ = Native(program, out int code);
            return code == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }

    private static double Median(double[] values)
    {
        Array.Sort(values);
        return values[values.Length / 2];
    }

    private static double Native(string program, out int code)
    {
        double before = ChildrenMilliseconds();
        using var process = Process.Start(program);
        process.WaitForExit();
        code = process.ExitCode;
        return ChildrenMilliseconds() - before;
    }

    // User time of the children that have ended; .NET does not tell it of a process that is gone.
    private static double ChildrenMilliseconds()
    {
        const int Children = -1;
        long* usage = stackalloc long[18];
        return GetUsage(Children, usage) == 0 ? (usage[0] * 1000.0) + (usage[1] / 1000.0) : throw new InvalidOperationException("getrusage failed.");
    }

    [LibraryImport("libc", EntryPoint = "getrusage")]
    private static partial int GetUsage(int who, long* usage);

    private static double Guest(EngineKind kind, string image, uint entry, out (uint Result, long Exits) answer)
    {
        using var platform = new FlatPlatform();
        byte[] bytes = File.ReadAllBytes(image);
        bytes.CopyTo(new Span<byte>(platform.Memory + Load, bytes.Length));
        using Engine engine = EngineFactory.Create(new EngineOptions { Kind = kind }, platform, platform.Cpu);
        var fx = (ushort*)&platform.Cpu->Fx;
        fx[0] = 0x37F;
        fx[12] = 0x1F80;
        platform.Cpu->Eip = entry;
        platform.Cpu->Gpr[(int)Gpr.Esp] = Stack;
        TimeSpan before = Process.GetCurrentProcess().TotalProcessorTime;
        engine.Run(platform.Cpu);
        answer = (platform.Cpu->Gpr[(int)Gpr.Ebx], engine.Statistics.SideExits.Values.Sum());
        return (Process.GetCurrentProcess().TotalProcessorTime - before).TotalMilliseconds;
    }

    private static void Shell(string command)
    {
        using var process = Process.Start("/bin/sh", ["-c", command]);
        process.WaitForExit();
        if (process.ExitCode != 0)
        {
            throw new InvalidOperationException($"The kernels could not be compiled: install gcc and its 32-bit support (gcc-multilib). {command}");
        }
    }
}
