using System.Diagnostics;
using System.Runtime.InteropServices;
using Dbt.Translator;
using Dbt.Translator.State;

namespace Dbt.Perf;

/// <summary>
/// Floating-point and SIMD kernels in C, compiled by the host's gcc for i386 and run natively and on an engine in turn: how many times as
/// long the guest takes. Needs <c>gcc -m32</c>. Where the host's kernel runs no 32-bit programs, the same source is compiled for 64 bits there.
/// </summary>
internal static unsafe partial class NativeComparison
{
    private const uint Load = 0x100000, Stack = 0xF00000;
    private const int EntryField = 24;
    private const string Sse = "-msse2 -mfpmath=sse -DREAL=double", X87 = "-mfpmath=387 -DREAL=\"long double\"";

    private static readonly (string Name, string Kernel, string Options)[] Kernels =
    [
        ("daxpy, SSE2 scalar", "daxpy", Sse + " -fno-tree-vectorize"),
        ("daxpy, SSE2 packed", "daxpy", Sse + " -O3"),
        ("saxpy, SSE packed", "saxpy", Sse),
        ("Mandelbrot, SSE2", "mandelbrot", Sse),
        ("Mandelbrot, x87", "mandelbrot", X87 + " -msse2"),
        ("dot product, x87", "dot", X87 + " -msse2"),
        ("AES rounds", "aes", Sse + " -maes"),
        ("byte search, SSE2", "count", Sse),
        ("big numbers, MMX", "bignum", Sse),
    ];

    /// <summary>Prints a line for each kernel.</summary>
    /// <param name="kind">The engine.</param>
    /// <param name="rounds">Runs of each; the quickest counts.</param>
    /// <param name="only">A part of the names of the kernels to run; null for all.</param>
    public static void Run(EngineKind kind, int rounds, string? only = null)
    {
        string folder = Directory.CreateTempSubdirectory("dbt-perf").FullName;
        string source = Path.Combine(AppContext.BaseDirectory, "Native", "kernels.c");
        bool runs32 = Runs32BitPrograms(folder);
        double product = 1;
        Console.WriteLine($"{"kernel",-22} {(runs32 ? "native ms" : "64-bit ms"),10} {kind + " ms",12} {"ratio",7}  side exits");
        (string Name, string Kernel, string Options)[] chosen = [.. Kernels.Where(k => only is null || k.Name.Contains(only, StringComparison.OrdinalIgnoreCase))];
        foreach ((string name, string kernel, string options) in chosen)
        {
            string program = Path.Combine(folder, "kernel"), image = program + ".bin", native64 = program + "64";
            string compile = $"gcc -O2 -w -static -nostdlib -ffreestanding -fno-pic -fno-stack-protector -fno-asynchronous-unwind-tables "
                + $"{options} -DKERNEL={kernel} -Wl,-Ttext={Load:x},--build-id=none {source}";
            Shell($"{compile} -m32 -o {program} && objcopy -O binary {program} {image}");
            if (!runs32)
            {
                Shell($"{compile} -m64 -o {native64}");
            }

            double native = double.MaxValue, guest = double.MaxValue;
            int code = 0;
            (uint Result, long Exits) answer = default;
            for (int round = 0; round < rounds; round++)
            {
                native = Math.Min(native, Native(runs32 ? program : native64, out code));
                guest = Math.Min(guest, Guest(kind, image, BitConverter.ToUInt32(File.ReadAllBytes(program), EntryField), out answer));
            }

            bool same = (byte)answer.Result == code;
            product *= guest / native;
            Console.WriteLine($"{name,-22} {native,10:F0} {guest,12:F0} {guest / native,7:F2}  {answer.Exits}{(same ? "" : "  WRONG RESULT")}");
        }

        Console.WriteLine($"geometric mean {Math.Pow(product, 1.0 / chosen.Length):F2}");
        Directory.Delete(folder, recursive: true);
    }

    private static bool Runs32BitPrograms(string folder)
    {
        string probe = Path.Combine(folder, "probe");
        Shell($"echo '.globl _start\n_start: mov $1, %eax\n int $0x80' | gcc -m32 -x assembler -nostdlib -static -o {probe} -");
        try
        {
            using var process = Process.Start(probe);
            process.WaitForExit();
            return true;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
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
