using System.CommandLine;
using System.Diagnostics;

namespace Dbt.Perf.Fuzz;

/// <summary><c>fuzz KIND</c>: attacks on isolation for as long as one likes; see docs/FUZZING.md.</summary>
internal static class FuzzCommand
{
    private static readonly TimeSpan s_between = TimeSpan.FromSeconds(30);

    /// <summary>Runs it.</summary>
    /// <returns>0; 1 where something was found; 2 for a bad command line.</returns>
    public static int Run(string[] words)
    {
        var kind = new Argument<string>("KIND") { Description = $"What is attacked: {string.Join(", ", FuzzKinds.Names)}" };
        kind.AcceptOnlyFromAmong([.. FuzzKinds.Names]);
        var minutes = new Option<double>("--minutes") { Description = "How long", DefaultValueFactory = _ => 1 };
        var seed = new Option<int>("--seed") { Description = "What the cases are drawn from; the same seed gives the same cases as far as threads allow", DefaultValueFactory = _ => 1 };
        var findings = new Option<string>("--findings") { Description = "Folder for cases that found something", DefaultValueFactory = _ => Path.Combine(Path.GetTempPath(), "dbt-fuzz") };
        var replay = new Option<string?>("--replay") { Description = "Run this case (a file of that folder) instead, so often as --times says" };
        var times = new Option<int>("--times") { Description = "How often a case is replayed", DefaultValueFactory = _ => 1 };
        var root = new RootCommand("Attacks a domain's surroundings from within it, while a neighbour looks whether anything reaches it.")
        {
            kind, minutes, seed, findings, replay, times,
        };
        int status = 0;
        root.SetAction(result => status = result.GetValue(replay) is { } file
            ? Replay(result.GetValue(kind)!, file, result.GetValue(times), result.GetValue(findings)!)
            : Attack(result.GetValue(kind)!, TimeSpan.FromMinutes(result.GetValue(minutes)), result.GetValue(seed), result.GetValue(findings)!));
        int parsed = root.Parse(words).Invoke();
        return parsed != 0 ? 2 : status;
    }

    private static int Attack(string kind, TimeSpan time, int seed, string folder)
    {
        using var findings = new FuzzFindings(kind, folder);
        using var run = new FuzzRun(kind, findings);
        var clock = Stopwatch.StartNew();
        TimeSpan said = TimeSpan.Zero;
        try
        {
            run.Run(seed, () => clock.Elapsed < time, (_, corpus) =>
            {
                if (clock.Elapsed - said > s_between)
                {
                    said = clock.Elapsed;
                    Console.WriteLine($"{kind} {said:hh\\:mm\\:ss}: {run.Describe(corpus)}");
                }
            });
            Console.WriteLine($"{kind}: nothing found with seed {seed} in {clock.Elapsed:hh\\:mm\\:ss}. {run.Describe()}");
            return 0;
        }
        catch (Exception exception)
        {
            return Tell(findings, exception);
        }
    }

    private static int Replay(string kind, string file, int times, string folder)
    {
        byte[] bytes = FuzzCase.Read(file);
        using var findings = new FuzzFindings(kind, folder);
        using var run = new FuzzRun(kind, findings);
        try
        {
            for (int i = 0; i < times; i++)
            {
                run.RunCase(bytes);
            }

            Console.WriteLine($"{file}: nothing found. {run.Describe()}");
            return 0;
        }
        catch (Exception exception)
        {
            return Tell(findings, exception);
        }
    }

    private static int Tell(FuzzFindings findings, Exception exception)
    {
        Console.Error.WriteLine($"fuzz: FOUND {exception}\nfuzz: see {string.Join(", ", findings.Files)}");
        return 1;
    }
}
