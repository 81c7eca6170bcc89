namespace Dbt.Devices.Snapshot;

/// <summary>The outermost of a saved guest's file: docs/SNAPSHOT.md.</summary>
internal static class SnapshotFormat
{
    /// <summary>The version that is written, and the oldest that is read.</summary>
    public const uint Version = 2, OldestVersion = 1;

    /// <summary>Bytes before the first section: the magic, the version, a reserved word.</summary>
    public const int PreambleBytes = 16;

    /// <summary>Bytes of the SHA-256 behind the last section.</summary>
    public const int DigestBytes = 32;

    /// <summary>A byte that no text begins with, the name, and a line's end that a careless copy would change.</summary>
    public static ReadOnlySpan<byte> Magic => [0x89, (byte)'D', (byte)'B', (byte)'T', (byte)'S', (byte)'V', (byte)'\r', (byte)'\n'];
}
