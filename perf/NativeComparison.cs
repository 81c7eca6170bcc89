using System.Diagnostics;
using System.Runtime.InteropServices;
using Dbt.Translator;

namespace Dbt.Perf;

/// <summary>
/// Integer, floating-point and SIMD kernels in C, compiled by the host's gcc for i386 and run natively and on an engine in turn: how many times as
/// long the guest takes. Needs <c>gcc -m32</c>. On a host that runs no 32-bit programs the ratios are a little worse than they would be
/// (<see cref="NativeCompiler.Runs32BitPrograms"/>).
/// </summary>
internal static unsafe partial class NativeComparison
{
    /// <summary>Prints a line for each kernel, and a geometric mean for each set of them.</summary>
    /// <param name="kind">The engine.</param>
    /// <param name="rounds">Runs of each, the guest's and the native one in turn; the median counts.</param>
    /// <param name="wanted">Part of a kernel's function or name; null for all.</param>
    public static void Run(EngineKind kind, int rounds, string? wanted)
    {
        string folder = Directory.CreateTempSubdirectory("dbt-perf").FullName;
        var compiler = new NativeCompiler(folder);
        var ratios = new Dictionary<string, List<double>>();
        Console.WriteLine(compiler.Description);
        Console.WriteLine($"{"kernel",-26} {"native ms",10} {kind + " ms",12} {"ratio",7}  side exits");
        foreach (NativeKernel kernel in NativeKernel.All)
        {
            if (wanted is not null && !kernel.Name.Contains(wanted, StringComparison.OrdinalIgnoreCase) && kernel.Function != wanted)
            {
                continue;
            }

            GuestProgram program = compiler.ForTheGuest(kernel);
            string host = compiler.ForTheHost(kernel);
            var native = new double[rounds];
            var guest = new double[rounds];
            int code = 0;
            (uint Result, long Exits) answer = default;
            for (int round = 0; round < rounds; round++)
            {
                native[round] = Native(host, out code);
                guest[round] = Guest(kind, program, out answer);
            }

            bool same = (byte)answer.Result == code;
            double ratio = Median(guest) / Median(native);
            CollectionsMarshal.GetValueRefOrAddDefault(ratios, kernel.Set, out _) ??= [];
            ratios[kernel.Set].Add(ratio);
            Console.WriteLine($"{kernel.Name,-26} {Median(native),10:F0} {Median(guest),12:F0} {ratio,7:F2}  {answer.Exits}{(same ? "" : "  WRONG RESULT")}");
        }

        foreach ((string set, List<double> of) in ratios)
        {
            Console.WriteLine($"geometric mean of {set}: {Math.Exp(of.Average(Math.Log)):F2}");
        }

        Directory.Delete(folder, recursive: true);
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

    private static double Guest(EngineKind kind, GuestProgram program, out (uint Result, long Exits) answer)
    {
        using var run = new GuestProgramRun(program, kind);
        TimeSpan before = Process.GetCurrentProcess().TotalProcessorTime;
        uint result = run.Once();
        double milliseconds = (Process.GetCurrentProcess().TotalProcessorTime - before).TotalMilliseconds;
        answer = (result, run.Statistics.SideExits.Values.Sum());
        return milliseconds;
    }
}
