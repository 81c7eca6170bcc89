using System.ComponentModel;
using System.Diagnostics;

namespace Dbt.Cli.Packages;

/// <summary>Runs programs of the host and reads what they say.</summary>
internal static class HostTool
{
    /// <summary>A program's path; null where the host has none.</summary>
    /// <remarks>Tools for file systems lie where an ordinary user's PATH doesn't look.</remarks>
    public static string? Find(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Concat(["/usr/sbin", "/sbin", "/usr/local/sbin"])
        .Where(folder => folder.Length > 0)
        .Select(folder => Path.Combine(folder, program))
        .FirstOrDefault(File.Exists);

    /// <summary>Runs a program to its end.</summary>
    /// <param name="call">What to run.</param>
    /// <param name="cancellation">Ends it, and all that it started.</param>
    /// <returns>Its status and what it said.</returns>
    /// <exception cref="ToolMissingException">The host has no such program.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static ToolResult Run(ToolCall call, CancellationToken cancellation = default)
    {
        string path = Find(call.Program) ?? throw new ToolMissingException(call.Program);
        var start = new ProcessStartInfo(path, call.Arguments)
        {
            WorkingDirectory = call.Folder ?? "",
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["LC_ALL"] = "C";
        foreach ((string name, string value) in call.Environment)
        {
            start.Environment[name] = value;
        }

        try
        {
            using Process process = Process.Start(start)!;
            using CancellationTokenRegistration registration = cancellation.Register(() => process.Kill(entireProcessTree: true));
            process.StandardInput.Close();
            Task<string> errors = process.StandardError.ReadToEndAsync(CancellationToken.None);
            string output = call.Read is null ? ReadLines(process.StandardOutput, call.OnLine) : ReadBytes(process, call.Read);
            process.WaitForExit();
            cancellation.ThrowIfCancellationRequested();
            return new ToolResult(process.ExitCode, output, errors.Result);
        }
        catch (Win32Exception)
        {
            throw new ToolMissingException(call.Program);
        }
    }

    private static string ReadLines(StreamReader reader, Action<string>? onLine)
    {
        var text = new System.Text.StringBuilder();
        while (reader.ReadLine() is string line)
        {
            onLine?.Invoke(line);
            text.Append(line).Append('\n');
        }

        return text.ToString();
    }

    // A reader that gives up must not leave the program behind, waiting for someone to read on.
    private static string ReadBytes(Process process, Action<Stream> read)
    {
        try
        {
            read(process.StandardOutput.BaseStream);
            process.StandardOutput.BaseStream.CopyTo(Stream.Null);
            return "";
        }
        catch
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
    }
}

/// <summary>A program of the host, and how to run it.</summary>
/// <param name="Program">Its name.</param>
/// <param name="Arguments">Its arguments.</param>
internal sealed record ToolCall(string Program, params string[] Arguments)
{
    /// <summary>Where it stands; null for where we do.</summary>
    public string? Folder { get; init; }

    /// <summary>Variables of its environment beside ours; LC_ALL is C.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    /// <summary>Gets each line that it prints.</summary>
    public Action<string>? OnLine { get; init; }

    /// <summary>Reads what it prints as bytes, in place of lines.</summary>
    public Action<Stream>? Read { get; init; }
}

/// <summary>What a program came to.</summary>
/// <param name="Status">Exit status.</param>
/// <param name="Output">Standard output, unless it was read as bytes.</param>
/// <param name="Errors">Standard error.</param>
internal sealed record ToolResult(int Status, string Output, string Errors)
{
    /// <summary>The line that says what went wrong, as well as that can be told.</summary>
    public string Complaint => Errors.Split('\n').FirstOrDefault(line => line.StartsWith("E:", StringComparison.Ordinal))?.Trim()
        ?? Errors.Split('\n').FirstOrDefault(line => line.StartsWith("W: Failed", StringComparison.Ordinal))?.Trim()
        ?? Errors.Trim().Split('\n')[^1].Trim();
}

/// <summary>The host has no program of this name.</summary>
internal sealed class ToolMissingException(string program) : Exception($"this machine has no {program}")
{
    /// <summary>The program.</summary>
    public string Program => program;
}
