using System.Buffers.Binary;
using System.Globalization;
using System.Reflection;
using System.Reflection.Emit;

namespace Dbt.Translator.Diagnostics;

/// <summary>An IL instruction.</summary>
internal readonly record struct IlLine(int Offset, string Text);

/// <summary>Reads the IL of a method that was emitted and not yet compiled.</summary>
internal static class IlReader
{
    private static readonly Dictionary<ushort, OpCode> s_codes = typeof(OpCodes).GetFields(BindingFlags.Public | BindingFlags.Static)
        .Select(field => field.GetValue(null)).OfType<OpCode>().ToDictionary(code => (ushort)code.Value);

    // The generator keeps labels open until it is asked for the method's bytes; there is no public way to ask.
    private static readonly MethodInfo? s_bake = typeof(ILGenerator).Assembly.GetType("System.Reflection.Emit.RuntimeILGenerator")
        ?.GetMethod("BakeByteArray", BindingFlags.NonPublic | BindingFlags.Instance);

    /// <summary>The instructions; none where another runtime has no such generator.</summary>
    public static IReadOnlyList<IlLine> Read(DynamicMethod method)
    {
        ILGenerator generator = method.GetILGenerator();
        return s_bake is not null && s_bake.DeclaringType!.IsInstanceOfType(generator) && s_bake.Invoke(generator, null) is byte[] bytes ? Read(bytes) : [];
    }

    /// <summary>The instructions of a method's bytes.</summary>
    public static IReadOnlyList<IlLine> Read(ReadOnlySpan<byte> bytes)
    {
        const byte TwoBytes = 0xFE;
        var lines = new List<IlLine>();
        for (int at = 0; at < bytes.Length;)
        {
            int start = at;
            ushort value = bytes[at++];
            if (value == TwoBytes && at < bytes.Length)
            {
                value = (ushort)((TwoBytes << 8) | bytes[at++]);
            }

            if (!s_codes.TryGetValue(value, out OpCode code))
            {
                break;
            }

            string operand = Operand(code, bytes, ref at);
            lines.Add(new IlLine(start, operand.Length == 0 ? code.Name! : $"{code.Name} {operand}"));
        }

        return lines;
    }

    private static string Operand(OpCode code, ReadOnlySpan<byte> bytes, ref int at)
    {
        ReadOnlySpan<byte> rest = bytes[at..];
        int next;
        switch (code.OperandType)
        {
            case OperandType.InlineNone:
                return "";
            case OperandType.ShortInlineBrTarget:
                at += 1;
                return Label(at + (sbyte)rest[0]);
            case OperandType.InlineBrTarget:
                at += 4;
                return Label(at + BinaryPrimitives.ReadInt32LittleEndian(rest));
            case OperandType.ShortInlineI:
                at += 1;
                return ((sbyte)rest[0]).ToString(CultureInfo.InvariantCulture);
            case OperandType.ShortInlineVar:
                at += 1;
                return Number(rest[0]);
            case OperandType.InlineVar:
                at += 2;
                return Number(BinaryPrimitives.ReadUInt16LittleEndian(rest));
            case OperandType.InlineI8:
                at += 8;
                return Hex(BinaryPrimitives.ReadInt64LittleEndian(rest));
            case OperandType.InlineR:
                at += 8;
                return BinaryPrimitives.ReadDoubleLittleEndian(rest).ToString(CultureInfo.InvariantCulture);
            case OperandType.ShortInlineR:
                at += 4;
                return BinaryPrimitives.ReadSingleLittleEndian(rest).ToString(CultureInfo.InvariantCulture);
            case OperandType.InlineSwitch:
                int count = BinaryPrimitives.ReadInt32LittleEndian(rest);
                next = at + 4 + (count * 4);
                var targets = new List<string>();
                for (int i = 0; i < count; i++)
                {
                    targets.Add(Label(next + BinaryPrimitives.ReadInt32LittleEndian(rest[(4 + (i * 4))..])));
                }

                at = next;
                return string.Join(", ", targets);
            case OperandType.InlineI:
                at += 4;
                return Hex(BinaryPrimitives.ReadInt32LittleEndian(rest));
            default:
                // Tokens of the method's own scope: of a signature or a method.
                at += 4;
                return $"token {BinaryPrimitives.ReadInt32LittleEndian(rest):x8}";
        }
    }

    private static string Label(int offset) => offset.ToString("x4", CultureInfo.InvariantCulture);

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);

    private static string Hex(long value) => value is > -256 and < 256 ? Number(value) : "0x" + value.ToString("x", CultureInfo.InvariantCulture);
}
