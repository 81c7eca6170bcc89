using System.Buffers.Binary;
using Iced.Intel;

namespace Dbt.Translator.Cache;

/// <summary>A jump at the end of a block of machine code.</summary>
/// <param name="target">Where it leads.</param>
/// <param name="condition">When; <see cref="ConditionCode.None"/> for always.</param>
internal sealed class MachineJump(MachineBlock target, ConditionCode condition)
{
    private const byte Escape = 0x0F, JccShort = 0x70, JccNear = 0x80, JumpShort = 0xEB, JumpNear = 0xE9;
    private const int ShortBytes = 2, JumpBytes = 5, JccBytes = 6;
    private bool _near;

    /// <summary>Bytes.</summary>
    public int Length => !_near ? ShortBytes : IsConditional ? JccBytes : JumpBytes;

    private bool IsConditional => condition != ConditionCode.None;

    // Iced numbers the conditions as processors do, from 1.
    private byte Number => (byte)((int)condition - 1);

    /// <summary>Makes it long enough for its distance.</summary>
    /// <param name="at">Its own place.</param>
    /// <returns>True if it was not.</returns>
    public bool Grow(int at)
    {
        if (_near || target.Place - (at + ShortBytes) is >= sbyte.MinValue and <= sbyte.MaxValue)
        {
            return false;
        }

        return _near = true;
    }

    /// <summary>Writes it to its place.</summary>
    public void CopyTo(Span<byte> bytes, int at)
    {
        Span<byte> to = bytes.Slice(at, Length);
        int distance = target.Place - (at + Length);
        if (!_near)
        {
            to[0] = IsConditional ? (byte)(JccShort + Number) : JumpShort;
            to[1] = unchecked((byte)checked((sbyte)distance));
            return;
        }

        if (IsConditional)
        {
            to[0] = Escape;
            to[1] = (byte)(JccNear + Number);
        }
        else
        {
            to[0] = JumpNear;
        }

        BinaryPrimitives.WriteInt32LittleEndian(to[^sizeof(int)..], distance);
    }
}
