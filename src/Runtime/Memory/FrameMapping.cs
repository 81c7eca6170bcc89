namespace Dbt.Runtime.Memory;

/// <summary>
/// Frames that began as a part of a <see cref="Translator.Memory.MemoryFile"/>. What the host is told to discard of one is the file's contents again, so
/// none of them is given to anybody else before the last one is free, and the mapping gone.
/// </summary>
/// <param name="first">The first frame.</param>
/// <param name="count">How many.</param>
internal sealed class FrameMapping(uint first, uint count)
{
    /// <summary>The first frame.</summary>
    public uint First { get; } = first;

    /// <summary>How many.</summary>
    public uint Count { get; } = count;

    /// <summary>How many somebody has still.</summary>
    public uint InUse { get; set; } = count;
}
