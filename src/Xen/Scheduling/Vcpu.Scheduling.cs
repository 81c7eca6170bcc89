using Dbt.Translator.Diagnostics;
using Dbt.Xen.Scheduling;
using Dbt.Xen.Time;

namespace Dbt.Xen;

/// <summary>The processor as its scheduler sees it, and how it waits while others have their turn.</summary>
public sealed unsafe partial class Vcpu : IScheduled
{
    private volatile bool _rests;

    /// <inheritdoc/>
    long IScheduled.ProcessorTime => HostCpuTime.Ticks * TimeSpan.NanosecondsPerTick;

    /// <inheritdoc/>
    bool IScheduled.WantsToRun => RunState.State is RunStateKind.Running or RunStateKind.Runnable && !Domain.IsStopped;

    /// <inheritdoc/>
    void IScheduled.SetResting(bool rests)
    {
        _rests = rests;
        if (rests)
        {
            Interrupt();
        }
        else
        {
            Kick();
        }
    }

    /// <summary>Waits at a safe point for its turn, or until there is something else to do there.</summary>
    /// <returns>Whether it waited.</returns>
    private bool RestForOthers()
    {
        if (!IsResting)
        {
            return false;
        }

        StayOutside(RunStateKind.Runnable, ProcessorActivity.Idle, () => IsResting);
        return true;
    }

    private bool IsResting => _rests && !IsToBeHeld && !Domain.IsStopped;

    /// <summary>Tells the scheduler where it matters.</summary>
    private void EnterRunState(RunStateKind state)
    {
        RunState.Enter(state);
        Domain.Share.Changed();
    }
}
