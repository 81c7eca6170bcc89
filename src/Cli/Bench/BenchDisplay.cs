using System.Globalization;
using Spectre.Console;

namespace Dbt.Cli.Bench;

/// <summary>Shows the benchmark's progress on standard error: a status line where it is a terminal, and a line for each run.</summary>
internal static class BenchDisplay
{
    /// <summary>Runs the work with a display that suits.</summary>
    /// <param name="rounds">How many rounds there are.</param>
    /// <param name="work">The work.</param>
    public static T Show<T>(int rounds, Func<IBenchProgress, T> work)
    {
        if (Console.IsErrorRedirected || Environment.GetEnvironmentVariable("TERM") is null or "dumb")
        {
            return work(new Lines(rounds, line => Console.Error.WriteLine($"dbt: {line}"), _ => { }));
        }

        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });
        return console.Status().Start("inputs", context => work(new Lines(rounds, line => console.MarkupLineInterpolated($"[grey]{line}[/]"), doing => context.Status(Markup.Escape(doing)))));
    }

    private sealed class Lines(int rounds, Action<string> write, Action<string> doing) : IBenchProgress
    {
        public void Booting(int machines)
        {
            write($"booting {machines} machines");
            doing("booting");
        }

        public void Running(int round, string workload, string machine) => doing($"round {round} of {rounds}: {workload}, {machine}");

        public void Done(int round, string workload, string machine, Sample sample) => write(string.Create(
            CultureInfo.InvariantCulture,
            $"round {round} of {rounds}: {workload,-12} {machine,-12} {(sample.Failure is null ? $"{sample.Cpu,8:F3} s CPU {sample.Wall,8:F3} s elapsed" : sample.Failure)}"));

        public void Warn(string what) => write($"warning: {what}");
    }
}
