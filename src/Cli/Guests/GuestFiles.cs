namespace Dbt.Cli.Guests;

/// <summary>The files of ours that go into guests; they lie in the folder Files beside this one.</summary>
internal static class GuestFiles
{
    /// <summary>Their names as resources begin with it.</summary>
    public const string Prefix = "guest-files/";

    /// <summary>A file's text.</summary>
    public static string Text(string name)
    {
        using var reader = new StreamReader(typeof(GuestFiles).Assembly.GetManifestResourceStream(Prefix + name)
            ?? throw new InvalidOperationException($"this build has no {Prefix}{name}"));
        return reader.ReadToEnd();
    }

    /// <summary>A file's bytes.</summary>
    public static byte[] Bytes(string name) => System.Text.Encoding.UTF8.GetBytes(Text(name));
}
