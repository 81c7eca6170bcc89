using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Running;
using Dbt.Perf;
using Dbt.Translator;

if (args is ["native", ..])
{
    NativeComparison.Run(args.Length > 1 ? Enum.Parse<EngineKind>(args[1], ignoreCase: true) : EngineKind.Tiered, rounds: 3);
    return;
}

BenchmarkSwitcher.FromAssembly(typeof(EngineBenchmarks).Assembly).Run(args, DefaultConfig.Instance);
