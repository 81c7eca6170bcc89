namespace Dbt.Devices.Network.Host;

/// <summary>A question to a thread that moves frames: whether it has moved all that had come when it was asked, or as much as could be moved.</summary>
internal sealed class ThreadSettling : IDisposable
{
    private readonly Lock _asking = new();
    private readonly ManualResetEventSlim _answered = new();
    private volatile bool _asked, _ended;

    /// <summary>Whether somebody asks. The thread looks before it looks for frames, and answers after that.</summary>
    public bool IsAsked => _asked;

    /// <summary>Asks, and waits for the answer.</summary>
    /// <param name="wake">Wakes the thread.</param>
    public void Ask(WakeEvent wake)
    {
        lock (_asking)
        {
            _answered.Reset();
            if (!_ended)
            {
                _asked = true;
                wake.Set();
                _answered.Wait();
            }
        }
    }

    /// <summary>It has. On the thread.</summary>
    public void Answer()
    {
        _asked = false;
        _answered.Set();
    }

    /// <summary>The thread ends: nobody waits for it any more.</summary>
    public void End()
    {
        _ended = true;
        _answered.Set();
    }

    /// <inheritdoc/>
    public void Dispose() => _answered.Dispose();
}
