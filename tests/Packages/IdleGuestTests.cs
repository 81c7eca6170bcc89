using System.Globalization;
using System.Text.Json;

namespace Dbt.Tests.Packages;

/// <summary>Debian's kernel ticks 250 times a second even when it has nothing to do: its ticks come together then, and its time stays right.</summary>
public sealed class IdleGuestTests : IDisposable
{
    private const int Seconds = 6, TicksASecond = 250;

    private readonly string _folder = Directory.CreateTempSubdirectory("dbt-idle").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [RequiresPackageFact(ScriptGuest.Kernel, ScriptGuest.Busybox)]
    public void ItIsWokenForFewOfItsTicks()
    {
        long late = Timers(100), punctual = Timers(0);

        // Each wake-up sets the timer once. A busy host wakes for fewer still.
        Assert.True(late < punctual / 2 || late < Seconds * TicksASecond / 5, $"{late} of {punctual}");
    }

    /// <summary>Runs a guest that sleeps.</summary>
    /// <returns>How often it set its timer.</returns>
    private long Timers(int slack)
    {
        string report = Path.Combine(_folder, "stats.json");
        using var guest = new ScriptGuest(_folder, $"""
            cut -d' ' -f1 /proc/uptime
            sleep {Seconds}
            cut -d' ' -f1 /proc/uptime
            echo end
            """, [], ["name=idle", $"tick_slack={slack}", "memory=128", "--stats", report]);
        var times = new List<double>();
        while (guest.ReadLine() is string line && line != "end")
        {
            if (double.TryParse(line, CultureInfo.InvariantCulture, out double time))
            {
                times.Add(time);
            }
        }

        Assert.Equal(0, guest.WaitForEnd());
        Assert.Equal(2, times.Count);
        Assert.True(times[1] - times[0] >= Seconds, $"slept {times[1] - times[0]} s of {Seconds}");
        using var document = JsonDocument.Parse(File.ReadAllText(report));
        return document.RootElement.GetProperty("hypercalls").GetProperty("vcpu_op").GetInt64();
    }
}
