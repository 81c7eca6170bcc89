using Dbt.Translator;
using Dbt.Translator.Cache;

namespace Dbt.Xen;

/// <content>A guest that goes on elsewhere has the code ready there that it runs.</content>
public sealed unsafe partial class Vcpu
{
    private Warming? _warming;

    /// <summary>What code it has run; null for none. It is held (<see cref="Pause"/>).</summary>
    internal HotCode? ListHot() => State == null ? null : _engine?.ListHot();

    /// <summary>Has its thread make code ready. Behind <see cref="Prepare"/>, before <see cref="Start"/>.</summary>
    /// <returns>Completes when it has, or doesn't any more.</returns>
    internal Task Warm(HotCode code)
    {
        if (_thread is not { IsAlive: true })
        {
            return Task.CompletedTask;
        }

        var warming = new Warming(code);
        Interlocked.Exchange(ref _warming, warming)?.Done.TrySetResult();
        Kick();
        return warming.Done.Task;
    }

    /// <summary>On its own thread.</summary>
    /// <param name="engine">Its engine; null where it isn't going to run.</param>
    private void WarmUp(Engine? engine)
    {
        if (Interlocked.Exchange(ref _warming, null) is { } warming)
        {
            engine?.Warm(warming.Code);
            warming.Done.TrySetResult();
        }
    }

    private sealed record Warming(HotCode Code)
    {
        public TaskCompletionSource Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
