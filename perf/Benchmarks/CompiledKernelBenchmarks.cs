using BenchmarkDotNet.Attributes;
using Dbt.Translator;

namespace Dbt.Perf.Benchmarks;

/// <summary>
/// Kernels in C, settled, on each engine and natively: where the host's kernel runs 32-bit programs, the very same code.
/// Needs <c>gcc -m32</c>.
/// </summary>
public class CompiledKernelBenchmarks
{
    // Natively about a millisecond.
    private const int Share = 200;
    private const int ComparedRuns = 3;

    private readonly string _folder = Directory.CreateTempSubdirectory("dbt-perf").FullName;
    private GuestProgramRun? _guest;
    private ServedProgram? _native;

    /// <summary>Name of the kernel.</summary>
    [ParamsSource(nameof(KernelNames))]
    public string Kernel { get; set; } = "";

    /// <summary>All kernels.</summary>
    public static IEnumerable<string> KernelNames => NativeKernel.All.Select(kernel => kernel.Name);

    [GlobalSetup(Target = nameof(Interpreter))]
    public void SetUpInterpreter() => SetUp(EngineKind.Interpreter);

    [GlobalSetup(Target = nameof(Quick))]
    public void SetUpQuick() => SetUp(EngineKind.Quick);

    [GlobalSetup(Target = nameof(Optimized))]
    public void SetUpOptimized() => SetUp(EngineKind.Optimized);

    [GlobalSetup(Target = nameof(Tiered))]
    public void SetUpTiered() => SetUp(EngineKind.Tiered);

    [GlobalSetup(Target = nameof(Native))]
    public void SetUpNative()
    {
        var compiler = new NativeCompiler(_folder);
        Console.WriteLine($"// {compiler.Description}");
        _native = new ServedProgram(compiler.ForTheHost(Wanted, Share, served: true));
        using var guest = new GuestProgramRun(compiler.ForTheGuest(Wanted, Share), EngineKind.Optimized);
        for (int i = 0; i < ComparedRuns; i++)
        {
            (uint ours, uint hosts) = (guest.Once(), _native.Once());
            if (ours != hosts)
            {
                throw new InvalidOperationException($"{Kernel}: the guest's result is {ours:x}, the host's {hosts:x}.");
            }
        }
    }

    [Benchmark]
    public uint Interpreter() => _guest!.Once();

    [Benchmark]
    public uint Quick() => _guest!.Once();

    [Benchmark]
    public uint Optimized() => _guest!.Once();

    [Benchmark]
    public uint Tiered() => _guest!.Once();

    [Benchmark]
    public uint Native() => _native!.Once();

    [GlobalCleanup]
    public void Cleanup()
    {
        _guest?.Dispose();
        _native?.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private NativeKernel Wanted => NativeKernel.All.First(kernel => kernel.Name == Kernel);

    private void SetUp(EngineKind kind)
    {
        _guest = new GuestProgramRun(new NativeCompiler(_folder).ForTheGuest(Wanted, Share), kind);
        Settling.Run(() => _guest.Once(), () => _guest.Statistics);
    }
}
