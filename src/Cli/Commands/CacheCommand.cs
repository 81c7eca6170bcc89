using System.CommandLine;
using System.Globalization;
using Dbt.Cli.Config;
using Dbt.Cli.Running;
using Dbt.Cli.Terminal;
using Dbt.Translator.Cache;
using Spectre.Console;

namespace Dbt.Cli.Commands;

/// <summary><c>dbt cache</c>: compiled code that is kept between runs.</summary>
internal static class CacheCommand
{
    private static readonly string[] Columns = ["id", "kernel", "regions", "size", "written", "state"];

    /// <summary>Makes the command.</summary>
    public static Command Create() => new("cache", "Compiled code of guests, kept from one run to the next.")
    {
        List(), Statistics(), Purge(),
    };

    private static Command List()
    {
        var command = new Command("ls", "Show the kernels whose code is kept: columns between tabs where standard output is no terminal.");
        command.SetAction(_ =>
        {
            WriteList(CodeFolder.Default, Console.Out, forPeople: !Console.IsOutputRedirected);
            return ExitStatus.Success;
        });
        return command;
    }

    private static Command Statistics()
    {
        var command = new Command("stat", "Show how much is kept, and what compiling it took.");
        command.SetAction(_ =>
        {
            WriteStatistics(CodeFolder.Default, Console.Out);
            return ExitStatus.Success;
        });
        return command;
    }

    private static Command Purge()
    {
        var kernels = new Argument<string[]>("KERNEL")
        {
            Arity = ArgumentArity.ZeroOrMore,
            Description = "Kernels as dbt cache ls shows them, by id or name, or their files. Without any, all.",
        };
        var command = new Command("purge", "Delete kept code: the next run compiles anew.") { kernels };
        command.SetAction(result =>
        {
            CodeFolder folder = CodeFolder.Default;
            string[] words = result.GetValue(kernels) ?? [];
            var files = new HashSet<CodeFile>(words.Length == 0 ? folder.Files() : []);
            foreach (string word in words)
            {
                IReadOnlyList<CodeFile> found = folder.Find(word);
                if (found.Count == 0)
                {
                    throw new ConfigException($"no code is kept for {word}; see: dbt cache ls");
                }

                files.UnionWith(found);
            }

            foreach (CodeFile file in files)
            {
                File.Delete(file.Path);
            }

            Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"dbt: {files.Count} deleted, {files.Sum(file => file.Bytes) / 1048576.0:0.0} MiB"));
            return ExitStatus.Success;
        });
        return command;
    }

    /// <summary>A line for each file: a table for people, else columns between tabs (size in bytes).</summary>
    internal static void WriteList(CodeFolder folder, TextWriter writer, bool forPeople)
    {
        string[][] rows = [.. folder.Files().Select(file => Row(file, forPeople))];
        PlainTable.Write(Columns, rows, writer, forPeople);
    }

    /// <summary>Sums over all files.</summary>
    internal static void WriteStatistics(CodeFolder folder, TextWriter writer)
    {
        IReadOnlyList<CodeFile> files = folder.Files();
        List<CodeFileSummary> sound = [.. files.Select(file => file.Summary).OfType<CodeFileSummary>()];
        Line("folder", $"{folder.Path}");
        Line("kernels", $"{files.Count}");
        Line("of other versions", $"{sound.Count(one => !one.IsCurrent)}");
        Line("damaged", $"{files.Count - sound.Count}");
        Line("size", $"{files.Sum(file => file.Bytes) / 1048576.0:0.0} MiB");
        Line("regions", $"{sound.Sum(one => one.Regions)}");
        Line("  with machine code", $"{sound.Sum(one => one.WithCode)}, {sound.Sum(one => one.CodeBytes) / 1048576.0:0.0} MiB");
        Line("compiling them took", $"{sound.Sum(one => one.CompileMilliseconds) / 1000:0.0} s");

        void Line(string name, FormattableString value) => writer.WriteLine($"{name,-20} {value.ToString(CultureInfo.InvariantCulture)}");
    }

    private static string[] Row(CodeFile file, bool forPeople)
    {
        string size = forPeople ? string.Create(CultureInfo.InvariantCulture, $"{file.Bytes / 1048576.0:0.0} MiB") : file.Bytes.ToString(CultureInfo.InvariantCulture);
        return file.Summary is { } summary
            ? [file.Id, summary.Title, summary.Regions.ToString(CultureInfo.InvariantCulture), size, CodeFolder.Show(file.Written), summary.IsCurrent ? "ready" : "of another version"]
            : [file.Id, "-", "-", size, CodeFolder.Show(file.Written), "damaged"];
    }
}
