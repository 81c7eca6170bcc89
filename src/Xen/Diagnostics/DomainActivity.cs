using Dbt.Translator.State;
using Dbt.Xen.Abi;
using Dbt.Xen.Time;

namespace Dbt.Xen.Diagnostics;

/// <summary>What a virtual processor does.</summary>
public enum VcpuDoing
{
    /// <summary>Executes the guest's code.</summary>
    Running,

    /// <summary>Could execute it, but has had its share of the host's processors.</summary>
    Resting,

    /// <summary>Waits for an event.</summary>
    Waiting,

    /// <summary>Is down or held.</summary>
    Offline,
}

/// <summary>What a virtual processor does, and has done so far.</summary>
/// <param name="Doing">At the moment.</param>
/// <param name="InterruptsOff">Events would not reach it: upcalls are masked, or a PVH processor's IF is clear.</param>
/// <param name="HasTimer">A timer of its own will wake it.</param>
/// <param name="Polls">It waits in SCHEDOP_poll, for which a port's mask doesn't count.</param>
/// <param name="Hypercalls">Hypercalls that it made.</param>
/// <param name="Waits">How often it waited.</param>
public readonly record struct VcpuActivity(VcpuDoing Doing, bool InterruptsOff, bool HasTimer, bool Polls, long Hypercalls, long Waits);

/// <summary>A glance at a domain that goes on running: what two of them have in common tells whether it gets anywhere.</summary>
/// <param name="DeviceEvents">Events that back ends sent so far: it got input, or an answer of a device.</param>
/// <param name="HasOpenPort">Whether an event channel in use isn't masked.</param>
/// <param name="Vcpus">Its processors.</param>
public sealed record DomainActivity(long DeviceEvents, bool HasOpenPort, IReadOnlyList<VcpuActivity> Vcpus)
{
    /// <summary>Looks at a domain whose processors exist. Any thread.</summary>
    public static DomainActivity Sample(Domain domain) =>
        new(domain.Events.FromBackends, domain.Events.HasOpenPort, [.. domain.Vcpus.Select(Sample)]);

    private static unsafe VcpuActivity Sample(Vcpu vcpu)
    {
        VcpuDoing doing = vcpu.RunState.State switch
        {
            RunStateKind.Blocked => VcpuDoing.Waiting,
            RunStateKind.Offline => VcpuDoing.Offline,
            RunStateKind.Runnable => VcpuDoing.Resting,
            _ => VcpuDoing.Running,
        };
        return new VcpuActivity(
            doing,
            AreInterruptsOff(vcpu),
            vcpu.Timers.Singleshot != 0 || vcpu.PollEnds || vcpu.Hvm?.Apic.Timer.IsRunning == true,
            vcpu.Polls,
            vcpu.Hypercalls.Total,
            vcpu.RunState.Waits);
    }

    /// <summary>See <see cref="VcpuActivity.InterruptsOff"/>.</summary>
    internal static unsafe bool AreInterruptsOff(Vcpu vcpu) => vcpu.Hvm is null
        ? Volatile.Read(ref vcpu.Info[SharedInfoLayout.UpcallMask]) != 0
        : (LazyFlags.Read(vcpu.State) & Flags.If) == 0;
}
