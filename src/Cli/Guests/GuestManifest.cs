using System.Text.Json;

namespace Dbt.Cli.Guests;

/// <summary>What a fetched guest is; guest.json beside its files.</summary>
internal sealed record GuestManifest
{
    private static readonly JsonSerializerOptions Format = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    /// <summary>The kernel's version, as uname -r will have it.</summary>
    public required string Kernel { get; init; }

    /// <summary>What --packages named.</summary>
    public required IReadOnlyList<string> Requested { get; init; }

    /// <summary>All packages that are in it, with their versions, as NAME=VERSION.</summary>
    public required IReadOnlyList<string> Packages { get; init; }

    /// <summary>Size of the root file system, MiB.</summary>
    public required int SizeMiB { get; init; }

    /// <summary>When it was made, UTC.</summary>
    public required DateTime Made { get; init; }

    /// <summary>Reads it.</summary>
    /// <returns>Null where there is none, or none that can be read: the guest has to be fetched again.</returns>
    public static GuestManifest? TryRead(string path)
    {
        try
        {
            return JsonSerializer.Deserialize<GuestManifest>(File.ReadAllText(path), Format);
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException or JsonException)
        {
            return null;
        }
    }

    /// <summary>Writes it.</summary>
    public void Write(string path) => File.WriteAllText(path, JsonSerializer.Serialize(this, Format) + "\n");
}
