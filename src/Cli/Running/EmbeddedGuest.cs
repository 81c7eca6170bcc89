using Dbt.Cli.Config;

namespace Dbt.Cli.Running;

/// <summary>Our own guest's image, which runs where no kernel is named.</summary>
internal static class EmbeddedGuest
{
    /// <summary>What errors and logs call it.</summary>
    public const string Name = "the embedded guest";

    private const string Resource = "dbt-guest.elf";

    /// <summary>The image.</summary>
    /// <exception cref="ConfigException">This build has none.</exception>
    public static byte[] Load()
    {
        using Stream stream = typeof(EmbeddedGuest).Assembly.GetManifestResourceStream(Resource)
            ?? throw new ConfigException("this build has no embedded guest (guests/build.sh makes it); name a configuration file: dbt run FILE.cfg");
        byte[] image = new byte[stream.Length];
        stream.ReadExactly(image);
        return image;
    }
}
