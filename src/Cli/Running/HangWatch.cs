using Dbt.Devices;
using Dbt.Xen;
using Dbt.Xen.Diagnostics;

namespace Dbt.Cli.Running;

/// <summary>Looks at a running guest now and then, and tells when it hangs, and where.</summary>
internal sealed class HangWatch : IAsyncDisposable
{
    /// <summary>--hang-after where it isn't given.</summary>
    public static readonly TimeSpan Default = TimeSpan.FromSeconds(30);

    private const int Samples = 5;
    private const int LogLines = 8;

    private readonly Domain _domain;
    private readonly DeviceHost _devices;
    private readonly TimeSpan _after;
    private readonly string _advice;
    private readonly TextWriter _errors;
    private readonly CancellationTokenSource _end = new();
    private readonly Task _watching;

    private HangWatch(Domain domain, DeviceHost devices, TimeSpan after, string advice, TextWriter errors)
    {
        _domain = domain;
        _devices = devices;
        _after = after;
        _advice = advice;
        _errors = errors;
        _watching = WatchAsync();
    }

    /// <summary>Starts to watch a domain that runs.</summary>
    /// <param name="domain">The domain; dispose the watch before its processors are stopped.</param>
    /// <param name="devices">Its devices.</param>
    /// <param name="after">How long it may be still; zero for no watch.</param>
    /// <param name="advice">What to say of how to end the guest.</param>
    /// <param name="errors">Where to tell.</param>
    public static HangWatch? Start(Domain domain, DeviceHost devices, TimeSpan after, string advice, TextWriter errors) =>
        after == TimeSpan.Zero ? null : new HangWatch(domain, devices, after, advice, errors);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync().ConfigureAwait(false);
        await _watching.ConfigureAwait(false);
        _end.Dispose();
    }

    private async Task WatchAsync()
    {
        // A guest that runs must have had half of the time from the host before it is said to hang.
        var detector = new HangDetector(Samples, _after / 2);
        using var timer = new PeriodicTimer(_after / Samples);
        try
        {
            while (await timer.WaitForNextTickAsync(_end.Token).ConfigureAwait(false))
            {
                var sample = new HangSample(DomainActivity.Sample(_domain), _devices.ConsoleOutputBytes, _devices.HasPrompted, CpuTime());
                if (!_domain.IsStopped && detector.Next(sample) is { } wrong)
                {
                    Tell(wrong);
                }
            }
        }
        catch (OperationCanceledException) when (_end.IsCancellationRequested)
        {
        }
    }

    // Its own: other guests of the process may be at work meanwhile.
    private TimeSpan CpuTime() => _domain.Vcpus.Aggregate(TimeSpan.Zero, static (sum, vcpu) => sum + vcpu.HostCpuTime);

    private void Tell(string wrong)
    {
        string report = HangReport.Capture(_domain);
        var text = new StringWriter();
        text.WriteLine($"dbt: {_domain.Name} seems to hang: for {_after.TotalSeconds:0.###} s it {wrong}");
        text.WriteLine(report);
        if (_domain.Log.Lines.TakeLast(LogLines).ToList() is { Count: > 0 } lines)
        {
            text.WriteLine("Last lines of its log:");
            lines.ForEach(line => text.WriteLine($"  {line}"));
        }

        text.WriteLine($"dbt: it goes on running; {_advice}");
        _errors.Write(text.ToString());
        _errors.Flush();
    }
}
