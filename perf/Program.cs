using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Running;
using Dbt.Perf;

BenchmarkSwitcher.FromAssembly(typeof(EngineBenchmarks).Assembly).Run(args, DefaultConfig.Instance);
