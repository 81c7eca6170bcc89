using BenchmarkDotNet.Running;
using Dbt.Perf;
using Dbt.Perf.Benchmarks;
using Dbt.Perf.Boot;
using Dbt.Perf.Fuzz;
using Dbt.Perf.Idle;
using Dbt.Perf.Migration;
using Dbt.Translator;

switch (args)
{
    case ["native", ..]:
        NativeComparison.Run(args.Length > 1 ? Enum.Parse<EngineKind>(args[1], ignoreCase: true) : EngineKind.Tiered, rounds: 3, args.Length > 2 ? args[2] : null);
        return 0;
    case ["boot", ..]:
        return await BootCommand.RunAsync(args[1..]);
    case ["routines", var compiled]:
        return RoutineList.Print(compiled);
    case ["idle", ..]:
        return await IdleCommand.RunAsync(args[1..]);
    case ["migrate", ..]:
        return MigrationCommand.Run(args[1..]);
    case ["fuzz", ..]:
        return FuzzCommand.Run(args[1..]);
    default:
        BenchmarkSwitcher.FromAssembly(typeof(EngineBenchmarks).Assembly).Run(args, BenchmarkSettings.Default);
        return 0;
}
