using System.Text.RegularExpressions;

namespace Dbt.Perf.Boot;

/// <summary><c>routines</c>: makes src/Translator/Interpreter/Threaded/CommonRoutines.txt anew out of what the just-in-time compiler said that it compiled in a boot.</summary>
internal static partial class RoutineList
{
    /// <summary>Prints a line for each routine of the threaded interpreter, in the order in which they were compiled.</summary>
    /// <param name="path">What a boot wrote with DOTNET_JitStdOutFile=FILE and DOTNET_JitDisasmSummary=1.</param>
    /// <returns>Exit status: 1 where there is none in it.</returns>
    public static int Print(string path)
    {
        string[] lines = [.. Lines(File.ReadLines(path)).Distinct()];
        foreach (string line in lines)
        {
            Console.WriteLine(line);
        }

        if (lines.Length == 0)
        {
            Console.Error.WriteLine($"{path}: no routine of the threaded interpreter was compiled");
        }

        return lines.Length == 0 ? 1 : 0;
    }

    private static IEnumerable<string> Lines(IEnumerable<string> compiled) => compiled
        .Select(line => Routine().Match(line))
        .Where(match => match.Success)
        .Select(match => match.Groups["type"].Value + "." + match.Groups["name"].Value + Arguments(match.Groups["arguments"].Value));

    private static string Arguments(string text) => text.Length == 0
        ? ""
        : $"<{Room().Replace(text, "").Replace('[', '<').Replace(']', '>').Replace(",", ", ", StringComparison.Ordinal)}>";

    [GeneratedRegex(@"Interpretation\.Threaded\.(?<type>\w+Ops):(?<name>\w+)(\[(?<arguments>.*)\])?\(Dbt.*FullOpts")]
    private static partial Regex Routine();

    // Namespaces and the number of type parameters.
    [GeneratedRegex(@"Dbt\.Translator\.Interpretation\.(Threaded|Operations)\.|`\d+")]
    private static partial Regex Room();
}
