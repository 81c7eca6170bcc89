using Dbt.Cli.Control;

namespace Dbt.Cli.Migration;

/// <summary>
/// A migration of a guest as it is under way in a process: what others may do to the guest meanwhile, and who ends it. Any thread.
/// </summary>
internal sealed class ControlledMigration : IDisposable
{
    private readonly CancellationTokenSource _cancel = new();
    private readonly TaskCompletionSource<bool> _force = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ManualResetEventSlim _ended = new();
    private volatile string? _undecided;

    /// <summary>Ends it as long as the guest isn't held.</summary>
    public CancellationToken Cancel => _cancel.Token;

    /// <summary>What a person decided: true for "it goes on here".</summary>
    public Task<bool> Force => _force.Task;

    /// <summary>Why it can't be found out where the guest is; null where that isn't so.</summary>
    public string? Undecided => _undecided;

    /// <summary>It can't be found out where the guest is.</summary>
    public void SetUndecided(string why) => _undecided = why;

    /// <summary>A person decides where the guest is to be.</summary>
    /// <param name="here">It goes on here.</param>
    /// <exception cref="ControlException">That is known, or will be at once.</exception>
    public void Decide(bool here)
    {
        if (_undecided is null)
        {
            throw new ControlException(ControlError.Refused, "it is being migrated, and there is nothing to decide (Ctrl-C in dbt migrate ends that)");
        }

        _force.TrySetResult(here);
    }

    /// <summary>The guest is to end: the migration ends first, one way or the other.</summary>
    public void EndAndWait()
    {
        _cancel.Cancel();
        if (_undecided is not null)
        {
            _force.TrySetResult(false);
        }

        _ended.Wait();
    }

    /// <summary>It has ended.</summary>
    public void SetEnded() => _ended.Set();

    /// <inheritdoc/>
    public void Dispose()
    {
        _cancel.Dispose();
        _ended.Dispose();
    }
}
