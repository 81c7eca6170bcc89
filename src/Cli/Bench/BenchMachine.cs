using System.Collections.Concurrent;
using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Dbt.Cli.Bench;

/// <summary>A machine that runs, and the agent in it, which takes workloads' names and marks their begin and end (Files/agent).</summary>
internal sealed partial class BenchMachine : IDisposable
{
    private const string Marker = "@bench:", Ready = "ready", Begin = "begin", End = "end ", Times = "times ", Sum = "sum ";
    private const int TailLines = 12;

    private readonly MachineCommand _command;
    private readonly Process _process;
    private readonly BlockingCollection<Line> _lines = [];
    private readonly ConcurrentQueue<string> _tail = new();
    private bool _isReady;
    private double? _began;

    private BenchMachine(MachineCommand command, Process process)
    {
        _command = command;
        _process = process;
        process.ErrorDataReceived += (_, line) => Remember(line.Data);
        process.BeginErrorReadLine();
        new Thread(Read) { IsBackground = true, Name = $"console of {command.Name}" }.Start();
    }

    /// <summary>Starts it; it boots meanwhile.</summary>
    /// <exception cref="BenchException">It can't be started.</exception>
    public static BenchMachine Start(MachineCommand command)
    {
        var start = new ProcessStartInfo(command.Program, command.Arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach ((string name, string value) in command.Environment)
        {
            start.Environment[name] = value;
        }

        try
        {
            return new BenchMachine(command, Process.Start(start)!);
        }
        catch (Win32Exception exception)
        {
            throw new BenchException($"{command.Name}: {command.Program} can't be started: {exception.Message}");
        }
    }

    /// <summary>Waits until its agent asks for work.</summary>
    /// <exception cref="BenchException">It does not within the time, or it has ended.</exception>
    public void WaitUntilReady(TimeSpan limit, CancellationToken cancellation)
    {
        if (!_isReady)
        {
            WaitFor(Ready, DateTime.UtcNow + limit, cancellation);
            _isReady = true;
        }
    }

    /// <summary>Runs a workload.</summary>
    /// <exception cref="BenchException">It did not end within the time, or the machine has ended.</exception>
    public Sample Run(string workload, TimeSpan limit, CancellationToken cancellation)
    {
        DateTime deadline = DateTime.UtcNow + limit;
        WaitUntilReady(limit, cancellation);
        _isReady = false;
        _process.StandardInput.Write(workload + "\n");
        _process.StandardInput.Flush();
        double childrenBefore = Children(deadline, cancellation);
        Line begin = WaitFor(Begin, deadline, cancellation);
        _began = begin.Cpu;
        Line end = WaitFor(End, deadline, cancellation);
        _began = null;
        double children = Children(deadline, cancellation) - childrenBefore;
        Line sum = WaitFor(Sum, deadline, cancellation);
        double wall = Stopwatch.GetElapsedTime(begin.Time, end.Time).TotalSeconds;
        string status = end.Text[End.Length..].Trim();
        return status != "0" ? Sample.Failed($"exit status {status}: {Tail}")
            : new Sample(wall, _command.IsNative ? children : end.Cpu - begin.Cpu, sum.Text[Sum.Length..].Trim());
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _process.Kill(entireProcessTree: true);
        _process.WaitForExit();
        _process.Dispose();
    }

    // A machine that was held up by others on the host has had little.
    private string Spent() => _began is double began && ProcessClock.Read(_process.Id) is double now
        ? string.Create(CultureInfo.InvariantCulture, $" (its process has had {now - began:0.0} s of CPU meanwhile)")
        : "";

    private string Tail => string.Join('\n', _tail);

    // The shell's own times, a newline, and those of its children, which are all that a workload has started.
    private double Children(DateTime deadline, CancellationToken cancellation)
    {
        WaitFor(Times, deadline, cancellation);
        Match match = ChildTimes().Match(WaitFor("", deadline, cancellation, marked: false).Text);
        return match.Success ? Seconds(1) + Seconds(3) : throw new BenchException($"{_command.Name}: the shell's times can't be read:\n{Tail}");

        double Seconds(int group) => (60 * int.Parse(match.Groups[group].ValueSpan, CultureInfo.InvariantCulture)) + double.Parse(match.Groups[group + 1].ValueSpan, CultureInfo.InvariantCulture);
    }

    private Line WaitFor(string what, DateTime deadline, CancellationToken cancellation, bool marked = true)
    {
        while (true)
        {
            TimeSpan left = deadline - DateTime.UtcNow;
            if (left <= TimeSpan.Zero || !_lines.TryTake(out Line line, (int)Math.Min(left.TotalMilliseconds + 1, int.MaxValue), cancellation))
            {
                bool ended = _lines.IsCompleted;
                throw new BenchException($"{_command.Name}: {(ended ? "it has ended" : "the time is up")}{Spent()}; its last output:\n{Tail}");
            }

            if (line.IsMarker == marked && line.Text.StartsWith(what, StringComparison.Ordinal))
            {
                return line;
            }
        }
    }

    // Time is taken where a line's end is seen, before anything else is done with it.
    private void Read()
    {
        byte[] chunk = new byte[4096];
        var text = new StringBuilder();
        int count;
        while ((count = TryRead(chunk)) > 0)
        {
            long now = Stopwatch.GetTimestamp();
            double cpu = ProcessClock.Read(_process.Id) ?? 0;
            foreach (char value in Encoding.Latin1.GetString(chunk, 0, count))
            {
                if (value != '\n')
                {
                    text.Append(value);
                    continue;
                }

                Add(text.ToString().TrimEnd('\r'), now, cpu);
                text.Clear();
            }
        }

        Remember(text.ToString());
        _lines.CompleteAdding();
    }

    private void Add(string text, long now, double cpu)
    {
        int marker = text.IndexOf(Marker, StringComparison.Ordinal);
        _lines.Add(new Line(marker < 0 ? text : text[(marker + Marker.Length)..], marker >= 0, now, cpu));
        if (marker < 0 && !ChildTimes().IsMatch(text))
        {
            Remember(text);
        }
    }

    private int TryRead(byte[] chunk)
    {
        try
        {
            return _process.StandardOutput.BaseStream.Read(chunk);
        }
        catch (Exception exception) when (exception is IOException or ObjectDisposedException or InvalidOperationException)
        {
            return 0; // it was killed
        }
    }

    private void Remember(string? line)
    {
        if (!string.IsNullOrWhiteSpace(line))
        {
            _tail.Enqueue(line);
            while (_tail.Count > TailLines && _tail.TryDequeue(out _))
            {
            }
        }
    }

    [GeneratedRegex(@"^(\d+)m([\d.]+)s (\d+)m([\d.]+)s$")]
    private static partial Regex ChildTimes();

    private readonly record struct Line(string Text, bool IsMarker, long Time, double Cpu);
}
