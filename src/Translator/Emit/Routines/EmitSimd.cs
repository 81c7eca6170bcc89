using System.Reflection;
using System.Reflection.Emit;
using Iced.Intel;

namespace Dbt.Translator.Emit.Routines;

/// <summary>
/// SSE to SSE4.2, AES and PCLMULQDQ: each is one of the host's own instructions, by its intrinsic, where the host has it.
/// Floating point runs with the guest's MXCSR in the host's: see <see cref="State.LiveUnit.Mxcsr"/>.
/// MMX forms come here too where the low half of the XMM form does the same; the others are in <see cref="EmitMmx"/>.
/// </summary>
internal static partial class EmitSimd
{
    private static readonly Dictionary<Mnemonic, EmitRoutine> Routines = [];
    private static readonly HashSet<Mnemonic> Floating = [];
    private static readonly HashSet<Mnemonic> Idioms = [];
    private static readonly HashSet<Mnemonic> Leaving = [];

    static EmitSimd()
    {
        AddIntegers();
        AddShuffles();
        AddShifts();
        AddTransfers();
        AddFloats();
        AddConversions();
        AddComparisons();
        AddStubs();
        EmitMmx.AddTo(Routines);
        Floating.UnionWith([Mnemonic.Cvtpi2ps, Mnemonic.Cvtps2pi, Mnemonic.Cvttps2pi, Mnemonic.Cvtpd2pi, Mnemonic.Cvttpd2pi]);
    }

    /// <summary>The routine of a mnemonic; null where there is none on this host.</summary>
    public static EmitRoutine? Find(Mnemonic mnemonic) => Routines.GetValueOrDefault(mnemonic);

    /// <summary>Whether an instruction reads the rounding mode, or raises exception flags.</summary>
    public static bool UsesMxcsr(Mnemonic mnemonic) => Floating.Contains(mnemonic);

    /// <summary>Whether the result does not depend on the register that it names twice.</summary>
    public static bool IsIdiom(in Instruction instruction) =>
        instruction.Op1Kind == OpKind.Register && instruction.Op0Register == instruction.Op1Register && Idioms.Contains(instruction.Mnemonic);

    /// <summary>Whether an instruction may leave to the interpreter though it names no memory.</summary>
    public static bool MayLeave(Mnemonic mnemonic) => Leaving.Contains(mnemonic);

    private static Type V(Type element) => VectorMethods.Vector(element);

    private static int Xmm(in Instruction i, int operand) => InstructionEmitter.VectorNumber(i.GetOpRegister(operand));

    private static void Add(Mnemonic mnemonic, Type host, EmitRoutine routine, bool floating = false)
    {
        // The table is the same on every host.
        Routines.Add(mnemonic, VectorMethods.IsSupported(host) ? routine : Untranslated);
        if (floating)
        {
            Floating.Add(mnemonic);
        }
    }

    private static bool Untranslated(InstructionEmitter e, in Instruction i) => false;

    private static void Finish(InstructionEmitter e, int register, bool floating)
    {
        if (floating)
        {
            e.SetFloat(register);
        }
        else
        {
            e.SetVector(register);
        }
    }

    /// <summary>xmm = operation(xmm, xmm or memory).</summary>
    private static void Binary(Mnemonic mnemonic, Type host, string name, Type first, Type? second = null, int size = 16, bool floating = false)
    {
        MethodInfo method = VectorMethods.Of(host, name, V(first), V(second ?? first));
        Add(mnemonic, host, (InstructionEmitter e, in Instruction i) =>
        {
            int to = Xmm(i, 0);
            VectorSource source = e.Vector(i, 1, size, aligned: size == 16);
            e.PushVector(to);
            e.PushVector(source);
            e.Il.Emit(OpCodes.Call, method);
            Finish(e, to, floating);
            return true;
        }, floating);
    }

    /// <summary>
    /// The same for packed addition and multiplication, which RyuJIT takes for commutative; but of two NaNs the first one's payload is the
    /// result's. The interpreter gives that where an operand is one.
    /// </summary>
    private static void Ordered(Mnemonic mnemonic, Type host, string name, Type element)
    {
        MethodInfo method = VectorMethods.Of(host, name, V(element), V(element));
        MethodInfo unordered = VectorMethods.Of(host, "CompareUnordered", V(element), V(element));
        MethodInfo mask = VectorMethods.Of(host, "MoveMask", V(element));
        Leaving.Add(mnemonic);
        Add(mnemonic, host, (InstructionEmitter e, in Instruction i) =>
        {
            int to = Xmm(i, 0);
            VectorSource source = e.Vector(i, 1, 16, aligned: true);
            LocalBuilder first = e.CopyVector(new VectorSource(to, null, 0)), second = e.CopyVector(source);

            // The comparison raises no flag that the operation itself does not raise.
            e.Il.Emit(OpCodes.Ldloc, first);
            e.Il.Emit(OpCodes.Ldloc, second);
            e.Il.Emit(OpCodes.Call, unordered);
            e.Il.Emit(OpCodes.Call, mask);
            e.Il.Emit(OpCodes.Brtrue, e.SideExit(SideExitKind.Rare));
            e.Il.Emit(OpCodes.Ldloc, first);
            e.Il.Emit(OpCodes.Ldloc, second);
            e.Il.Emit(OpCodes.Call, method);
            e.SetFloat(to);
            return true;
        }, floating: true);
    }

    /// <summary>The same where equal operands give zeros or ones whatever they are.</summary>
    private static void BinaryIdiom(Mnemonic mnemonic, Type host, string name, Type element, bool ones = false)
    {
        MethodInfo method = VectorMethods.Of(host, name, V(element), V(element));
        Idioms.Add(mnemonic);
        Add(mnemonic, host, (InstructionEmitter e, in Instruction i) =>
        {
            int to = Xmm(i, 0);
            VectorSource source = e.Vector(i, 1, 16, aligned: true);
            if (source.Register == to)
            {
                e.PushUniform(ones);
            }
            else
            {
                e.PushVector(to);
                e.PushVector(source);
                e.Il.Emit(OpCodes.Call, method);
            }

            e.SetVector(to);
            return true;
        });
    }

    /// <summary>xmm = operation(xmm or memory).</summary>
    private static void Unary(Mnemonic mnemonic, Type host, string name, Type element, int size = 16, bool floating = false)
    {
        MethodInfo method = VectorMethods.Of(host, name, V(element));
        Add(mnemonic, host, (InstructionEmitter e, in Instruction i) =>
        {
            int to = Xmm(i, 0);
            VectorSource source = e.Vector(i, 1, size, aligned: size == 16);
            e.PushVector(source);
            e.Il.Emit(OpCodes.Call, method);
            Finish(e, to, floating);
            return true;
        }, floating);
    }

    /// <summary>xmm = operation(xmm or memory, immediate).</summary>
    private static void UnaryImmediate(Mnemonic mnemonic, Type host, string name, Type element)
    {
        MethodInfo method = VectorMethods.Of(host, name, V(element), typeof(byte));
        Add(mnemonic, host, (InstructionEmitter e, in Instruction i) =>
        {
            int to = Xmm(i, 0);
            VectorSource source = e.Vector(i, 1, 16, aligned: true);
            e.PushVector(source);
            e.Constant(i.Immediate8);
            e.Il.Emit(OpCodes.Call, method);
            e.SetVector(to);
            return true;
        });
    }

    /// <summary>xmm = operation(xmm, xmm or memory, immediate).</summary>
    private static void BinaryImmediate(Mnemonic mnemonic, Type host, string name, Type element, bool floating = false)
    {
        MethodInfo method = VectorMethods.Of(host, name, V(element), V(element), typeof(byte));
        Add(mnemonic, host, (InstructionEmitter e, in Instruction i) =>
        {
            int to = Xmm(i, 0);
            VectorSource source = e.Vector(i, 1, 16, aligned: true);
            e.PushVector(to);
            e.PushVector(source);
            e.Constant(i.Immediate8);
            e.Il.Emit(OpCodes.Call, method);
            Finish(e, to, floating);
            return true;
        }, floating);
    }
}
