using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Dbt.Perf.Boot;

namespace Dbt.Perf.Migration;

/// <summary>A daemon of its own that listens for guests; both of a pair have the same key, so that they trust each other.</summary>
internal sealed partial class MigrationHost : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(5);

    private readonly string[] _dbt;
    private readonly string _folder;

    /// <param name="dbt">The command, with what is to start it.</param>
    /// <param name="folder">Where the daemon has what is its own.</param>
    /// <param name="address">Where it is to listen.</param>
    public MigrationHost(string[] dbt, string folder, string address)
    {
        _dbt = dbt;
        _folder = Directory.CreateDirectory(folder).FullName;
        const string mark = "guests may come to ";
        string said = Do("daemon", "--migration-listen", address + ":0");
        Address = said[(said.IndexOf(mark, StringComparison.Ordinal) + mark.Length)..].Trim();
    }

    /// <summary>Where it listens.</summary>
    public string Address { get; }

    /// <summary>Runs a command to its end.</summary>
    /// <returns>What it said.</returns>
    public string Do(params string[] words)
    {
        using Process process = Start(words);
        Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
        process.WaitForExit();
        return process.ExitCode == 0 ? output.Result : throw new BootFailure($"dbt {words[0]}: {errors.Result}{output.Result}");
    }

    /// <summary>Types at a guest's console, and waits until it says something.</summary>
    public void Type(string guest, string text, string until)
    {
        using Process console = Start("console", guest);
        try
        {
            console.StandardInput.Write(text);
            console.StandardInput.Flush();
            using var limit = new CancellationTokenSource(Limit);
            var said = new StringBuilder();
            char[] some = new char[256];
            while (!said.ToString().Contains(until, StringComparison.Ordinal))
            {
                int count = console.StandardOutput.ReadAsync(some.AsMemory(), limit.Token).AsTask().GetAwaiter().GetResult();
                said.Append(count != 0 ? some.AsSpan(0, count) : throw new BootFailure($"the guest's console ended: {said}"));
            }
        }
        finally
        {
            console.Kill();
        }
    }

    /// <summary>What the guest's probe says next.</summary>
    /// <returns>The largest steps of its clock in so many seconds, microseconds.</returns>
    public int[] Steps(string guest, int count)
    {
        using Process console = Start("console", guest);
        try
        {
            var steps = new List<int>();
            using var limit = new CancellationTokenSource(Limit);
            while (steps.Count < count && console.StandardOutput.ReadLineAsync(limit.Token).AsTask().GetAwaiter().GetResult() is string line)
            {
                // A line that was cut by the move ends well, but may not begin so: its number is too small then, never too large.
                if (Step().Match(line) is { Success: true } step)
                {
                    steps.Add(int.Parse(step.Groups[1].Value, CultureInfo.InvariantCulture));
                }
            }

            return steps.Count == count ? [.. steps] : throw new BootFailure("the guest said nothing");
        }
        finally
        {
            console.Kill();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        using Process process = Start("daemon", "stop", "--force");
        process.WaitForExit();
    }

    private Process Start(params string[] words)
    {
        var start = new ProcessStartInfo(_dbt[0], [.. _dbt.Skip(1), .. words]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (string variable in (ReadOnlySpan<string>)["XDG_RUNTIME_DIR", "XDG_STATE_HOME"])
        {
            start.Environment[variable] = _folder;
        }

        start.Environment["XDG_CONFIG_HOME"] = Path.GetDirectoryName(_folder);
        return Process.Start(start) ?? throw new BootFailure($"{_dbt[0]} can't be started.");
    }

    [GeneratedRegex(@"(\d+)\.\r?$")]
    private static partial Regex Step();
}
