using System.Buffers.Binary;
using Iced.Intel;
using Decoder = Iced.Intel.Decoder;

namespace Dbt.Tests.Translator.Oracle;

// Code that modifies itself.
internal sealed partial class VectorGenerator
{
    /// <summary>
    /// Draws a vector that changes immediates of its own instructions: of the next one, a later one, itself by way of a loop.
    /// </summary>
    public TestVector MakeSelfModifying(int count, bool loop)
    {
        while (true)
        {
            TestVector vector = loop ? MakeLoop(count, 6) : Make(count);
            List<byte[]> code = vector.Code;
            var writers = new List<byte[]>();
            int first = loop ? 1 : 0, last = loop ? code.Count - 2 : code.Count;
            if (loop && code[^1][1] < 0x80 + (8 * MaxWriters))
            {
                continue;
            }

            for (int i = _random.Next(1, MaxWriters + 1); i > 0; i--)
            {
                // mov byte [x], n or inc byte [x]; as long as each other.
                byte[] writer = _random.Next(2) == 0 ? [0xC6, 0x05, 0, 0, 0, 0, (byte)_random.Next(256)] : [0xFE, 0x05, 0, 0, 0, 0, 0x90];
                writers.Add(writer);
                code.Insert(_random.Next(first, last + 1), writer);
                last++;
            }

            // All branches anew, for the instructions have moved; the loop's own leads further back.
            PatchBranches(loop ? code.GetRange(1, code.Count - 3) : code);
            if (loop)
            {
                code[^1][1] -= (byte)(7 * writers.Count);
            }

            if (vector.CodeStart + vector.CodeLength < 0x2000 && vector.CodeLength <= TestVector.MaxCode
                && writers.TrueForAll(writer => Aim(vector, writer, loop)) && !FlagTracker.ReadsUndefined(vector))
            {
                return vector;
            }
        }
    }

    private const int MaxWriters = 3;

    // Makes a writer write into the immediate of an instruction.
    private bool Aim(TestVector vector, byte[] writer, bool loop)
    {
        var targets = new List<uint>();
        uint at = vector.Start;
        bool seen = false;
        for (int i = 0; i < vector.Code.Count; i++)
        {
            byte[] bytes = vector.Code[i];
            var decoder = Decoder.Create(vector.Bits, new ByteArrayCodeReader(bytes), at);
            Instruction instruction = decoder.Decode();
            ConstantOffsets constants = decoder.GetConstantOffsets(instruction);

            // The loop's own instructions stay, or it might not end.
            bool calm = !(loop && (i == 0 || i >= vector.Code.Count - 2)) && !instruction.IsInvalid
                && instruction.FlowControl == FlowControl.Next && bytes.Length == instruction.Length;
            if (constants.HasImmediate && calm && !ReferenceEquals(bytes, writer))
            {
                uint target = at + (uint)constants.ImmediateOffset + (uint)_random.Next(constants.ImmediateSize);
                targets.Add(target);
                if (seen)
                {
                    // Mostly what comes after.
                    targets.Add(target);
                    targets.Add(target);
                }
            }

            seen |= ReferenceEquals(bytes, writer);
            at += (uint)bytes.Length;
        }

        if (targets.Count == 0)
        {
            return false;
        }

        BinaryPrimitives.WriteUInt32LittleEndian(writer.AsSpan(2), targets[_random.Next(targets.Count)]);
        return true;
    }
}
