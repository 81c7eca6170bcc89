using System.Globalization;
using System.Text;
using Dbt.Translator.State;

namespace Dbt.Xen.Diagnostics;

/// <summary>Where a guest is that gets nowhere, and what it waits for, for a person to read.</summary>
public static class HangReport
{
    private const int MostPorts = 16;

    /// <summary>Describes a domain, which is paused for the while.</summary>
    /// <returns>Lines, without an end of the last one.</returns>
    public static string Capture(Domain domain)
    {
        // Before the pause, which wakes what waits.
        DomainActivity activity = DomainActivity.Sample(domain);
        var text = new StringBuilder();
        domain.Pause();
        try
        {
            foreach (Vcpu vcpu in domain.Vcpus)
            {
                Processor(text, vcpu, activity.Vcpus[vcpu.Id]);
            }
        }
        finally
        {
            domain.Resume();
        }

        Events(text, domain);
        return text.ToString().TrimEnd();
    }

    private static unsafe void Processor(StringBuilder text, Vcpu vcpu, VcpuActivity activity)
    {
        if (!vcpu.IsUp)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"VCPU {vcpu.Id}: down");
            return;
        }

        string doing = activity.Doing switch
        {
            VcpuDoing.Waiting when activity.Polls => "polls event channels",
            VcpuDoing.Waiting => "waits for an event",
            VcpuDoing.Offline => "held",
            VcpuDoing.Resting => "has had its share of processor time",
            _ => "runs",
        };
        string interrupts = activity.InterruptsOff ? "off" : "on";
        string timer = activity.HasTimer ? "a timer is set" : "no timer is set";
        CpuState* cpu = vcpu.State;
        text.AppendLine(CultureInfo.InvariantCulture,
            $"VCPU {vcpu.Id}: EIP {StackTrace.Name(vcpu.Domain, cpu->Eip)}, ring {cpu->Cpl}, interrupts {interrupts}; {doing}, {timer}");
        StackTrace.Write(text, vcpu);
        text.AppendLine("Last hypercalls: " + string.Join(' ', Runs(vcpu.Hypercalls.Recent).Select(Times).DefaultIfEmpty("none")));
    }

    private static void Events(StringBuilder text, Domain domain)
    {
        long now = domain.Clock.Now;
        List<(uint Port, long At)> recent = domain.Events.Recent();
        int index = 0;
        var last = new List<string>();
        foreach ((uint port, int count) in Runs(recent.Select(entry => entry.Port)))
        {
            last.Add(string.Create(CultureInfo.InvariantCulture, $"{Times((domain.Events.Describe(port), count))} {Math.Max(0, now - recent[index].At) / 1e9:0.000} s ago"));
            index += count;
        }

        text.AppendLine("Last events: " + string.Join(", ", last.DefaultIfEmpty("none")));
        List<string> ports = domain.Events.DescribeAll();
        string rest = ports.Count > MostPorts ? FormattableString.Invariant($" and {ports.Count - MostPorts} more") : "";
        text.AppendLine("Event channels: " + string.Join(", ", ports.Take(MostPorts).DefaultIfEmpty("none")) + rest);
    }

    private static string Times((string What, int Count) run) => run.Count == 1 ? run.What : string.Create(CultureInfo.InvariantCulture, $"{run.What} x{run.Count}");

    /// <summary>What follows itself, as one with a count.</summary>
    private static List<(T What, int Count)> Runs<T>(IEnumerable<T> items)
        where T : IEquatable<T>
    {
        var runs = new List<(T What, int Count)>();
        foreach (T item in items)
        {
            if (runs.Count > 0 && runs[^1].What.Equals(item))
            {
                runs[^1] = (item, runs[^1].Count + 1);
            }
            else
            {
                runs.Add((item, 1));
            }
        }

        return runs;
    }
}
