using Iced.Intel;

namespace Dbt.Translator.Interpretation.Native;

/// <summary>Assembled code goes straight to its place.</summary>
internal sealed unsafe class PointerCodeWriter(byte* target) : CodeWriter
{
    /// <summary>Bytes written.</summary>
    public int Length { get; private set; }

    /// <inheritdoc/>
    public override void WriteByte(byte value) => target[Length++] = value;
}
