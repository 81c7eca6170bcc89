using System.Buffers.Binary;

namespace Dbt.Xen.Builder;

/// <summary>
/// The .xz format's filter for x86 code: the targets of CALL and JMP (E8 and E9) were made absolute before compression, where the target's
/// top byte is 00 or FF and the bytes just before did not look like another such instruction.
/// </summary>
internal static class BranchFilter
{
    private const int InstructionBytes = 5;

    /// <summary>Makes the targets relative again, in place; position 0 is the data's first byte.</summary>
    public static void Decode(Span<byte> data)
    {
        // Bit n: the byte n + 1 before this one was an opcode that was left alone.
        uint history = 0;
        int last = -1;
        for (int at = 0; at + InstructionBytes <= data.Length; at++)
        {
            if ((data[at] & 0xFE) != 0xE8)
            {
                continue;
            }

            int distance = at - last;
            last = at;
            history = distance > 3 ? 0 : (history << (distance - 1)) & 7;
            if (history != 0 && (!MayFollow(history) || IsSign(data[at + 4 - Overlap(history)])))
            {
                history = (history << 1) | 1;
                continue;
            }

            Span<byte> operand = data.Slice(at + 1, 4);
            if (!IsSign(operand[3]))
            {
                history = (history << 1) | 1;
                continue;
            }

            uint target = Relative(BinaryPrimitives.ReadUInt32LittleEndian(operand), (uint)(at + InstructionBytes), history);

            // 25 bits, sign-extended.
            BinaryPrimitives.WriteInt32LittleEndian(operand, (int)(target << 7) >> 7);
            at += InstructionBytes - 1;
        }
    }

    private static bool IsSign(byte b) => b is 0x00 or 0xFF;

    private static bool MayFollow(uint history) => history is 0 or 1 or 2 or 4;

    private static int Overlap(uint history) => history switch { 0 => 0, 1 => 1, 2 or 3 => 2, _ => 3 };

    private static uint Relative(uint value, uint position, uint history)
    {
        while (true)
        {
            uint target = value - position;
            if (history == 0)
            {
                return target;
            }

            int shift = Overlap(history) * 8;
            if (!IsSign((byte)(target >> (24 - shift))))
            {
                return target;
            }

            value = target ^ ((1u << (32 - shift)) - 1);
        }
    }
}
