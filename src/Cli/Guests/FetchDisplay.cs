using System.Diagnostics;
using Spectre.Console;

namespace Dbt.Cli.Guests;

/// <summary>Shows a fetch on standard error: bars on a terminal, a line a step elsewhere.</summary>
internal static class FetchDisplay
{
    /// <summary>Runs the work with a display that suits.</summary>
    public static void Show(Action<IFetchProgress> work)
    {
        if (Console.IsErrorRedirected || Environment.GetEnvironmentVariable("TERM") is null or "dumb")
        {
            work(new Lines(Console.Error));
            return;
        }

        var warnings = new List<string>();
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });
        console.Progress()
            .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), new ElapsedTimeColumn())
            .Start(context =>
            {
                var bars = new Bars(context, warnings);
                work(bars);
                bars.Finish();
            });
        warnings.ForEach(warning => Console.Error.WriteLine($"dbt: warning: {warning}"));
    }

    private sealed class Lines(TextWriter writer) : IFetchProgress
    {
        private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

        private readonly Stopwatch _sinceLine = new();
        private string _step = "";

        public void Step(string what)
        {
            _step = what;
            Write(what);
        }

        public void Part(double part)
        {
            if (_sinceLine.Elapsed > Interval)
            {
                Write($"{_step}: {part:P0}");
            }
        }

        public void Warn(string what) => Write($"warning: {what}");

        private void Write(string line)
        {
            writer.WriteLine($"dbt: {line}");
            _sinceLine.Restart();
        }
    }

    private sealed class Bars(ProgressContext context, List<string> warnings) : IFetchProgress
    {
        private ProgressTask? _task;

        public void Step(string what)
        {
            Finish();
            _task = context.AddTask(Markup.Escape(what), new ProgressTaskSettings { MaxValue = 1 });
            _task.IsIndeterminate = true;
        }

        public void Part(double part)
        {
            _task!.IsIndeterminate = false;
            _task.Value = part;
        }

        public void Warn(string what) => warnings.Add(what);

        public void Finish()
        {
            if (_task is not null)
            {
                _task.IsIndeterminate = false;
                _task.Value = 1;
                _task.StopTask();
            }
        }
    }
}
