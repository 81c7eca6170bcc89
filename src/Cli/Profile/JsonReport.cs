using System.Text.Encodings.Web;
using System.Text.Json;

namespace Dbt.Cli.Profile;

/// <summary>A summary as JSON, for programs.</summary>
internal static class JsonReport
{
    private static readonly JsonSerializerOptions Format = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.CamelCase, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes it.</summary>
    /// <exception cref="IOException">It can't be written.</exception>
    public static void Write(string path, ProfileSummary summary) => File.WriteAllText(path, JsonSerializer.Serialize(summary, Format) + "\n");
}
