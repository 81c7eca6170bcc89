using System.Diagnostics;

namespace Dbt.Tests.Xen.Builder;

/// <summary>A theory that needs a program of the host; says so where it is absent.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class RequiresToolTheoryAttribute : TheoryAttribute
{
    public RequiresToolTheoryAttribute(string program) => Skip = Tool.Find(program) is null ? $"this machine has no {program}" : null;
}

/// <summary>A fact that needs programs of the host; says so where one is absent.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class RequiresToolFactAttribute : FactAttribute
{
    public RequiresToolFactAttribute(params string[] programs) =>
        Skip = programs.FirstOrDefault(p => Tool.Find(p) is null) is string absent ? $"this machine has no {absent}" : null;
}

internal static class Tool
{
    public static string? Find(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Concat(["/usr/sbin", "/sbin"]).Select(f => Path.Combine(f, program)).FirstOrDefault(File.Exists);

    /// <summary>A program's output for some input.</summary>
    public static byte[] Filter(string program, string arguments, byte[] input)
    {
        (int status, byte[] output) = Run(program, arguments, input);
        Assert.Equal(0, status);
        return output;
    }

    /// <summary>A program's exit status and output for some input.</summary>
    public static (int Status, byte[] Output) Run(string program, string arguments, byte[] input)
    {
        using Process process = Process.Start(new ProcessStartInfo(Find(program)!, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true })!;
        using var output = new MemoryStream();
        Task copy = process.StandardOutput.BaseStream.CopyToAsync(output);
        process.StandardInput.BaseStream.Write(input);
        process.StandardInput.Close();
        copy.Wait();
        process.WaitForExit();
        return (process.ExitCode, output.ToArray());
    }
}
