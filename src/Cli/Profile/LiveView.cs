using Spectre.Console;

namespace Dbt.Cli.Profile;

/// <summary>A view of a session that is renewed each second, until a key is pressed or the user interrupts.</summary>
internal static class LiveView
{
    private static readonly TimeSpan Window = TimeSpan.FromSeconds(5), Step = TimeSpan.FromSeconds(1);

    /// <summary>Shows it.</summary>
    /// <param name="console">Where.</param>
    /// <param name="session">What to show.</param>
    /// <param name="summarise">Sums up what was sampled in the last few seconds.</param>
    /// <param name="top">Lines of each list.</param>
    /// <param name="limit">After which it ends by itself; null for never.</param>
    /// <param name="cancellation">Ends it.</param>
    public static void Run(IAnsiConsole console, ProfileSession session, Func<ProfileRecording, ProfileSummary> summarise, int top, TimeSpan? limit, CancellationToken cancellation)
    {
        DateTime end = limit is { } time ? DateTime.UtcNow + time : DateTime.MaxValue;
        console.Live(new Text("waiting for samples")).AutoClear(false).Overflow(VerticalOverflow.Crop).Start(context =>
        {
            while (!IsOver())
            {
                ProfileSummary summary = summarise(Recent(session.Recording));
                context.UpdateTarget(new Rows(
                [
                    TerminalReport.Heading(summary),
                    TerminalReport.Shares("What the processors did, last 5 s", "of the time", summary.Activities, top),
                    TerminalReport.Code("Guest functions, last 5 s", summary.Functions, top, isBlock: false),
                    TerminalReport.Rates(summary),
                    new Text(Console.IsInputRedirected ? "Ctrl-C ends it" : "any key ends it"),
                ]));
                context.Refresh();
                cancellation.WaitHandle.WaitOne(Step);
            }
        });

        bool IsOver()
        {
            if (!Console.IsInputRedirected && Console.KeyAvailable)
            {
                Console.ReadKey(intercept: true);
                return true;
            }

            return cancellation.IsCancellationRequested || session.Ended.IsCompleted || DateTime.UtcNow >= end;
        }
    }

    /// <summary>A copy with the samples of the last few seconds; counters whole, so that they can be seen over time.</summary>
    private static ProfileRecording Recent(ProfileRecording recording)
    {
        var recent = new ProfileRecording();
        lock (recording.Lock)
        {
            long newest = recording.Samples.Count > 0 ? recording.Samples[^1].At : 0;
            int first = recording.Samples.FindLastIndex(sample => sample.At < newest - Window.TotalMilliseconds) + 1;
            recent.Samples.AddRange(recording.Samples[first..]);
            recent.Pages.AddRange(recording.Pages);
            Copy(recording.Processors, recent.Processors);
            Copy(recording.Facts, recent.Facts);
            foreach ((string name, List<CounterValue> values) in recording.Counters)
            {
                recent.Counters[name] = [.. values];
            }

            recent.Seconds = recent.Samples.Count > 0 ? (newest - recent.Samples[0].At) / 1000.0 : 0;
        }

        return recent;

        static void Copy<TKey, TValue>(Dictionary<TKey, TValue> from, Dictionary<TKey, TValue> to)
            where TKey : notnull
        {
            foreach ((TKey key, TValue value) in from)
            {
                to[key] = value;
            }
        }
    }
}
