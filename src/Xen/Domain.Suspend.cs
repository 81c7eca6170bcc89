namespace Dbt.Xen;

/// <content>A guest that is asked to suspend and does (SHUTDOWN_suspend), while somebody waits for it to save it.</content>
public sealed partial class Domain
{
    private TaskCompletionSource? _suspension;
    private Vcpu? _suspended;

    /// <summary>
    /// From now on a suspend of the guest's holds it where it is, instead of ending it or being cancelled at once. Completes when it has. Afterwards
    /// <see cref="EndSuspend"/> lets it go on; before, <see cref="CancelSuspend"/> ends the waiting.
    /// </summary>
    public Task AwaitSuspend()
    {
        var suspension = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        return (Interlocked.CompareExchange(ref _suspension, suspension, null) ?? suspension).Task;
    }

    /// <summary>Nobody waits any more.</summary>
    /// <returns>False where the guest has suspended meanwhile.</returns>
    public bool CancelSuspend() => Interlocked.Exchange(ref _suspension, null) is not null;

    /// <summary>The guest goes on behind the call, which says whether it is where it was (1: the suspend was cancelled). The domain may be paused.</summary>
    public void EndSuspend()
    {
        Interlocked.Exchange(ref _suspended, null)?.SetResult(1);
        foreach (Vcpu vcpu in Vcpus)
        {
            vcpu.Resume();
        }
    }

    /// <summary>The guest suspends. On the processor's thread, in the hypercall.</summary>
    /// <returns>Whether somebody has waited for it: then all processors stop before their next instruction.</returns>
    internal bool TrySuspend(Vcpu caller)
    {
        if (Interlocked.Exchange(ref _suspension, null) is not { } suspension)
        {
            return false;
        }

        _suspended = caller;
        foreach (Vcpu vcpu in Vcpus)
        {
            vcpu.HoldSoon();
        }

        suspension.TrySetResult();
        return true;
    }
}
