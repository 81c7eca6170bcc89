using System.Buffers.Binary;
using Dbt.Translator;
using Dbt.Translator.Diagnostics;
using Dbt.Xen.Hypercalls;
using Dbt.Xen.Time;

namespace Dbt.Xen.Diagnostics;

/// <summary>What the hypervisor adds to a processor's counters, and the names of what a processor does.</summary>
public static unsafe class VcpuProbe
{
    /// <summary>The name of a hypercall's number.</summary>
    public static string NameOfHypercall(int number) => HypercallNames.Of(number);

    /// <summary>Lets a processor be watched until its engine is done.</summary>
    internal static ProcessorProbe Attach(Vcpu vcpu, Engine engine)
    {
        var probe = new ProcessorProbe($"{vcpu.Domain.ProcessorsName}/vcpu{vcpu.Id}", vcpu.State, engine, totals => AddTo(vcpu, totals));
        ProcessorRegistry.Add(probe);
        return probe;
    }

    private static void AddTo(Vcpu vcpu, CounterTotals totals)
    {
        vcpu.Hypercalls.AddTo(totals.Hypercalls);
        totals.Upcalls += vcpu.Upcalls;

        // vcpu_runstate_info: four times from offset 12 on, offline left out.
        Span<byte> times = stackalloc byte[RunState.Size];
        vcpu.RunState.Read(times);
        long running = Time(times, RunStateKind.Running), idle = Time(times, RunStateKind.Blocked) + Time(times, RunStateKind.Runnable);
        totals.IdleNanoseconds += idle;
        totals.OnlineNanoseconds += running + idle;
    }

    private static long Time(ReadOnlySpan<byte> times, RunStateKind kind) => BinaryPrimitives.ReadInt64LittleEndian(times[(12 + (8 * (int)kind))..]);
}
